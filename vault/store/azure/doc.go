// Package azure is the place kind "azblob:": a container of Azure Blob
// Storage.
//
// # What is promised, and by what
//
// An object is a block blob, made by a request with If-None-Match: *: of two
// writers of one name the service lets one through. Up to 8 MiB are one Put
// Blob; what is larger is staged in blocks, several at a time, and the list of
// them makes the object. The MD5 of each request's bytes goes with it and is
// compared by the service before it takes them; a service that does not
// answer with the checksum is read back and its SHA-256 compared before Commit
// returns. An object that is not what was written is taken away again.
//
// Each object carries the random mark of its writer in its metadata, so that
// an answer that was lost can be told from somebody else's object, and blocks
// have names of their own for each writer. When one writer makes the object,
// the service forgets the blocks of all others: their lists are refused, and
// they hear that the name is taken.
//
// Blocks that a killed writer leaves are not visible. They cannot be taken
// away alone: an empty list would make an object of the name, seen by all and
// left there by a second kill, and would take away the blocks of a writer at
// work. The service forgets them after a week.
//
// # The client
//
// The client library's own retries are off. Its version is the last that does
// not link Apache Arrow.
//
// # Credentials
//
// Without credentials = : AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY,
// AZURE_STORAGE_SAS_TOKEN (of AZURE_STORAGE_ACCOUNT when that is set), then
// what azidentity finds: AZURE_TENANT_ID, AZURE_CLIENT_ID and their like,
// workload and managed identity, the login of az. A file holds one line: the
// account's key, a SAS token, or a connection string.
//
// # Versions and locks
//
// Where the account keeps versions or deleted blobs, Remove leaves what its
// owner wanted to be left. With an object lock each object is made with a
// locked immutability policy; a container without version-level immutability
// refuses it.
//
// # What was seen and what was read
//
// The tests run against Azurite 3.35, which differs: it compares the MD5 of a
// block and does not answer with it (so large objects are read back there),
// says InvalidOperation for Md5Mismatch and AuthorizationFailure for a wrong
// key, answers a range from the end of an object with 206, lets blocks
// without a list stand in the way of Put Blob, and knows no immutability. A
// lock that is kept, the refusal to remove a locked blob, tokens of an
// identity, and clocks that differ are by the documentation.
package azure
