package schedule

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// maxSpread is the longest that a database waits for its turn.
const maxSpread = 30 * time.Minute

// Spread is the window over which runs are spread, so that not all databases
// of all hosts start at once: a twelfth of the time between two runs, at most
// half an hour. Hourly runs begin up to 5 minutes later, daily ones up to 30.
func (s *Schedule) Spread() time.Duration { return min(s.every/12, maxSpread) }

// Offset is a database's own place in the window, in whole seconds: the same
// each time, from the vault's id and the database's name. It is at least 0 and
// below Spread.
func (s *Schedule) Offset(vaultID, database string) time.Duration {
	window := uint64(s.Spread() / time.Second)
	if window == 0 {
		return 0
	}
	sum := sha256.Sum256([]byte(vaultID + "\x00" + database))
	return time.Duration(binary.BigEndian.Uint64(sum[:8])%window) * time.Second
}
