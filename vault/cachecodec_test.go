package vault

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"pgvault/vault/archive"
)

// anyListing makes a listing with all that one can hold.
func anyListing() *remembered {
	at := time.Date(2025, 6, 20, 12, 0, 0, 123456789, time.UTC)
	full := Archive{ID: "20250620T120000Z-0001", Database: "shop", Started: at, Finished: at.Add(time.Minute), State: "damaged", Tables: 3, Rows: 1 << 40, Bytes: 7,
		Stored: -1, Proof: ProofRestored, Pinned: true, Recipient: []string{"duty", "safe"}, Reason: "part, missing \x00",
		Seq: 9, ServerVersion: "15.18", DumpVersion: "15.18", Warnings: 2, Tags: []string{"before", "the upgrade"},
		Proofs: []ProofRecord{{at, ProofReadable, "ok", "a@b", "one-time key", "3 of 3", "disk", true}, {at, ProofRestored, "failed", "", "", "学", "", false}}, digest: "abc", locked: at,
		ResealedFrom: "20250620T120000Z-0002", fromDigest: "def", resealed: at.Add(time.Hour),
		keys: []archive.Recipient{{Name: "duty", Kind: "X25519", Fingerprint: "SHA256:1"}, {Name: "safe", Kind: "SSH", Fingerprint: "SHA256:2"}}}
	return &remembered{at: at, vaultID: "id", trust: "keys", empty: true, rest: []string{"shop/20250621T120000Z-0001"},
		archives: []Archive{full, {ID: "20250619T120000Z-0001", Database: "shop", State: "foreign", Recipient: []string{}}, full},
		prints:   []string{"\x00\xff", "", "\x00\xff"}}
}

func TestListingCodec(t *testing.T) {
	for _, r := range []*remembered{anyListing(), {vaultID: "empty", archives: []Archive{}, prints: []string{}}} {
		got, err := decodeListing(encodeListing(r))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, r) {
			t.Errorf("read  %+v\nwrote %+v", got, r)
		}
	}
}

// TestListingCodecDamage: a file that was cut or changed is passed over, and
// never asks for more memory than it is long.
func TestListingCodecDamage(t *testing.T) {
	src := encodeListing(anyListing())
	for n := range src {
		if _, err := decodeListing(src[:n]); err == nil {
			t.Fatalf("%d of %d bytes are taken for a listing", n, len(src))
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		bad := append([]byte(nil), src[len(listingMagic):len(src)-4]...)
		for range 1 + random.IntN(3) {
			bad[random.IntN(len(bad))] = byte(random.Uint32())
		}
		d := decoder{b: string(bad)} // behind the checksum: what it reads must still hold
		d.time()
		d.text()
		d.text()
		for range d.count() {
			var a Archive
			d.text()
			d.archive(&a)
		}
	}
}
