package archive

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/klauspost/compress/zstd"

	"pgvault/fault"
)

// OpenAge decrypts a file that age encrypted, armored or not, that is no
// archive. The error has the code NoKey when no identity opens it.
func OpenAge(r io.Reader, k *Keys) (io.Reader, error) {
	if k == nil || len(k.ids) == 0 {
		return nil, noIdentity()
	}
	in := bufio.NewReader(r)
	var src io.Reader = in
	if head, _ := in.Peek(len(armor.Header)); bytes.Equal(head, []byte(armor.Header)) {
		src = armor.NewReader(in)
	}
	plainText, err := age.Decrypt(src, plain(k.ids)...)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none):
		return nil, noKey("no given key opens this file", err, "give the key that it was encrypted to with -i")
	case err != nil:
		return nil, &fault.Error{Op: "read", What: "an age file cannot be read", Why: err.Error(), Left: "nothing of it was used", Do: "look for another copy of it", Code: fault.Differs, Err: err}
	}
	return plainText, nil
}

// maxForeignWindow bounds the memory that a zstd file from elsewhere may ask
// for: zstd --long=27 is the most that its own program takes without asking.
const maxForeignWindow = 128 << 20

// OpenZstd decompresses a zstd file from elsewhere.
func OpenZstd(r io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxForeignWindow), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return d.IOReadCloser(), nil
}
