package archive

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"pgvault/vault/store"
)

// Reservation says who takes a sequence number of a database. Its object lies
// beside the archives' folders: VAULT/DATABASE/seq-00000012. Its name says
// all that decides; what is in it is for people.
type Reservation struct {
	Format  int       `json:"format"`
	Archive string    `json:"archive"`
	Host    string    `json:"host"` // user@host
	At      time.Time `json:"at"`
}

const (
	reservationPrefix = "seq-"
	reservationDigits = 8
)

// SequenceName is the whole name of the reservation of a number.
func SequenceName(vault, database string, n int64) string {
	return fmt.Sprintf("%s/%s/%s%0*d", vault, EncodeName(database), reservationPrefix, reservationDigits, n)
}

// ParseSequence gives the number that an object of this whole name reserves
// in the database's folder; false where it reserves none.
func ParseSequence(vault, database, name string) (int64, bool) {
	digits, ok := strings.CutPrefix(name, vault+"/"+EncodeName(database)+"/"+reservationPrefix)
	if !ok || len(digits) < reservationDigits || len(digits) > reservationDigits && digits[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 50) // maxSize
	return int64(n), err == nil && n > 0
}

// Reserve takes a number: of several who try, exactly one gets nil, the
// others store.ErrExist.
func Reserve(ctx context.Context, place store.Store, vault, database string, n int64, r Reservation) error {
	r.Format = Format
	src, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return Publish(ctx, place, SequenceName(vault, database, n), append(src, '\n'))
}

// maxReservation bounds what is read of one.
const maxReservation = 16 << 10

// ReadReservation reads the reservation of this whole name. It is not signed:
// what it says is for people.
func ReadReservation(ctx context.Context, place store.Store, name string) (Reservation, error) {
	var r Reservation
	src, err := store.ReadAll(ctx, place, name, maxReservation)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(src, &r)
}
