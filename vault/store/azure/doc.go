// Package azure is the place kind "azblob:": a container of Azure Blob
// Storage.
package azure
