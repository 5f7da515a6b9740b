// Package gcs is the place kind "gs:": a bucket of Google Cloud Storage.
package gcs
