package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/vault/store"
)

// site is one configured place in use.
type site struct {
	Place
	n int // its position in the configuration
}

// sites gives all configured places, in their order. None is an error.
func (v *Vault) sites() ([]site, error) {
	if len(v.c.Places) == 0 {
		return nil, &fault.Error{What: "no place is configured", Why: "neither the configuration nor the environment names one", Left: "nothing was changed",
			Do: "add a [[place]] to the configuration, set BACKUP_DIR, or run pgvault init --place file:/…", Code: fault.NoVault}
	}
	out := make([]site, len(v.c.Places))
	for i, p := range v.c.Places {
		out[i] = site{p, i}
	}
	return out, nil
}

// sitesOf gives the place with this name alone, or all for an empty name.
func (v *Vault) sitesOf(name string) ([]site, error) {
	all, err := v.sites()
	if err != nil || name == "" {
		return all, err
	}
	for _, s := range all {
		if s.Name == name {
			return []site{s}, nil
		}
	}
	return nil, &fault.Error{What: fmt.Sprintf("there is no place %q", name), Why: "the configuration names " + strings.Join(v.Places(), ", "), Left: "nothing was changed",
		Do: "use one of those names", Code: fault.Usage}
}

// ready gives why the place cannot be used at all.
func (s site) ready() error {
	if s.Store == nil {
		return s.Err
	}
	return nil
}

// near tells whether reading here costs next to nothing: a folder of this
// host. All else is read over a network.
func (s site) near() bool { return store.IsNear(s.Store) }

// key names what is remembered of the place: another address is another
// place, whatever its name.
func (v *Vault) key(s site) string {
	where := s.Name
	if s.Store != nil {
		where = s.Store.String()
	}
	sum := sha256.Sum256([]byte(where + "\n" + v.c.Name))
	return hex.EncodeToString(sum[:8])
}

// How long a place may take to answer one question: before a screen, and for
// who asked on purpose. A place that did not answer a moment ago is given
// less.
const (
	screenWait = 10 * time.Second
	verbWait   = 5 * time.Minute
	againWait  = 2 * time.Second
	noticeWait = 3 * time.Second // then Config.Waits is told
	forgetSlow = time.Minute
)

// reply is what one place gave.
type reply[T any] struct {
	site
	value T
	err   error
}

// errUnasked is of a place whose answer was not waited for.
var errUnasked = errors.New("its answer was not needed")

// errSilent is the cause of a place's context that ends for its time.
var errSilent = errors.New("no answer in time")

// askEach asks the places at once. Each has wait to answer; the answers of
// the others do not wait longer for one that does not, not even if it takes
// no notice of its context.
func askEach[T any](ctx context.Context, v *Vault, sites []site, wait time.Duration, ask func(ctx context.Context, s site) (T, error)) []reply[T] {
	return askUntil(ctx, v, sites, wait, ask, nil)
}

// askUntil is askEach that comes back as soon as an answer is enough; nil: all
// are wanted. Places that were still being asked then have the error errUnasked.
func askUntil[T any](ctx context.Context, v *Vault, sites []site, wait time.Duration, ask func(ctx context.Context, s site) (T, error), enough func(T) bool) []reply[T] {
	type answer struct {
		i int
		reply[T]
	}
	out := make([]reply[T], len(sites))
	answers := make(chan answer, len(sites))
	waiting := map[int]chan struct{}{}
	limit := time.Duration(0)
	for i, s := range sites {
		out[i].site = s
		if out[i].err = s.ready(); out[i].err == nil {
			out[i].err = v.stuck(s)
		}
		if out[i].err != nil {
			continue
		}
		mine := min(wait, v.patience(s, wait))
		limit = max(limit, mine)
		done := make(chan struct{})
		waiting[i] = done
		go func() {
			defer close(done)
			ctx, cancel := context.WithTimeoutCause(ctx, mine, errSilent)
			defer cancel()
			value, err := ask(ctx, s)
			if err != nil && errors.Is(context.Cause(ctx), errSilent) {
				err = silent(s, mine, err)
			}
			answers <- answer{i, reply[T]{s, value, err}}
		}()
	}
	late := time.NewTimer(limit + limit/4)
	defer late.Stop()
	long := time.NewTimer(v.noticeAfter())
	defer long.Stop()
	for len(waiting) > 0 {
		select {
		case a := <-answers:
			out[a.i] = a.reply
			delete(waiting, a.i)
			v.answered(a.site, a.err)
			if a.err == nil && enough != nil && enough(a.value) {
				for i := range waiting {
					out[i].err = errUnasked
				}
				return out
			}
		case <-long.C:
			for i, s := range sites {
				if waiting[i] != nil && v.c.Waits != nil {
					v.c.Waits(s.Name, s.Store.String(), limit)
				}
			}
		case <-late.C:
			for i, done := range waiting {
				out[i].err = silent(sites[i], limit, nil)
				v.abandon(sites[i], done)
				v.answered(sites[i], out[i].err)
			}
			return out
		}
	}
	return out
}

func silent(s site, after time.Duration, err error) error {
	f := &fault.Error{Op: "place", What: fmt.Sprintf("place %s does not answer", s.Name), Why: fmt.Sprintf("%s gave no whole answer within %s", s.Store, after.Round(time.Second)),
		Left: "what lies there is as it was", Do: "see whether it is reachable: pgvault place test " + s.Name, Code: fault.PlaceUnreachable, Err: errors.Join(errSilent, err)}
	if after < time.Second {
		f.Why = fmt.Sprintf("%s gave no whole answer in time", s.Store)
	}
	return f
}

// slowness is what a Vault remembers of places that did not answer in time.
type slowness struct {
	since   map[int]time.Time       // when they last failed to
	at      map[int]<-chan struct{} // those that are still being asked: closed in the end
	waiting time.Duration           // overrides screenWait and verbWait, for tests
	soon    time.Duration           // overrides soonWait, for tests
	notice  time.Duration           // overrides noticeWait, for tests
	tell    time.Duration           // overrides tellEvery beside a backup, for tests
}

// patience is how long a place is waited for: a little only, if it has just
// not answered in time.
func (v *Vault) patience(s site, wait time.Duration) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.slow.waiting > 0 {
		wait = v.slow.waiting
	}
	if since, ok := v.slow.since[s.n]; ok && wait <= screenWait && v.now().Sub(since) < forgetSlow {
		return min(wait, againWait)
	}
	return wait
}

func (v *Vault) noticeAfter() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.slow.notice > 0 {
		return v.slow.notice
	}
	return noticeWait
}

func (v *Vault) answered(s site, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !errors.Is(err, errSilent) {
		delete(v.slow.since, s.n)
		return
	}
	if v.slow.since == nil {
		v.slow.since = map[int]time.Time{}
	}
	if since, ok := v.slow.since[s.n]; !ok || v.now().Sub(since) >= forgetSlow {
		v.slow.since[s.n] = v.now()
	}
}

// abandon remembers that a place is still being asked, by nobody who waits.
func (v *Vault) abandon(s site, done <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.slow.at == nil {
		v.slow.at = map[int]<-chan struct{}{}
	}
	v.slow.at[s.n] = done
}

// stuck refuses to ask a place that has not even ended the last question.
func (v *Vault) stuck(s site) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	done, ok := v.slow.at[s.n]
	if !ok {
		return nil
	}
	select {
	case <-done:
		delete(v.slow.at, s.n)
		return nil
	default:
		return silent(s, 0, nil)
	}
}

// firstError is the error that stands for places of which none answered: the
// first that is no mere lack of a vault.
func firstError[T any](replies []reply[T]) error {
	i := slices.IndexFunc(replies, func(r reply[T]) bool { return r.err != nil && fault.CodeOf(r.err) != fault.NoVault })
	if i < 0 {
		i = slices.IndexFunc(replies, func(r reply[T]) bool { return r.err != nil })
	}
	if i < 0 {
		return nil
	}
	return replies[i].err
}
