// Package gcs is the place kind "gs:": a bucket of Google Cloud Storage,
// spoken to by its JSON API.
//
// # What is promised, and by what
//
// An object is made by a request with ifGenerationMatch=0: of two writers of
// one name the service lets one through. Up to 8 MiB are one request; what is
// larger goes into an upload session in pieces of 8 MiB, each tried again
// from where the service says that it has come to. CRC32C and MD5 of the
// whole go with the request that makes the object, the service compares them
// before it is visible, and what it then says it keeps is compared again; if
// it says nothing, the object is read back and its SHA-256 compared. An object
// that is not what was written is taken away again.
//
// Each object carries the random mark of its writer in its metadata, so that
// an answer that was lost can be told from somebody else's object. Reading a
// whole object compares its CRC32C at the end.
//
// An upload session that a killed writer leaves is not visible, cannot be
// listed, and ends by itself after a week.
//
// # The client
//
// Requests are made here, not by Google's generated client: an upload's
// retries have to begin at the offset that the service reports, the other
// calls are five, and the generated client adds 9 MB, gRPC and OpenTelemetry
// to the binary. Tokens come from golang.org/x/oauth2. Redirects are not
// followed, and bytes go to the endpoint's host only, wherever an answer says
// that a session is.
//
// # Versions and locks
//
// In a bucket with versions or soft delete Remove leaves what the bucket's
// owner wanted to be left. With an object lock each object is made with a
// locked retention of its own; a bucket that was made without per-object
// retention refuses it.
//
// # What was seen and what was read
//
// The tests run against fake-gcs-server v1.56.1, which differs: it appends
// what an upload session gets wherever it belongs, takes the question how
// much has arrived for the end of the upload, does not compare X-Goog-Hash,
// and knows ifGenerationMatch at neither the beginning of a session, nor
// reading, nor removing. Sessions are therefore tested with a front that does
// them as Google's documentation tells. It keeps locks and does not obey them:
// how the service refuses a locked object, or a lock, is by its documentation.
package gcs
