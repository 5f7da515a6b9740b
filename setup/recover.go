package setup

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"sync"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/guide"
	"pgvault/vault"
	"pgvault/vault/store"
)

// recoverName is the recovery guide's, also in its draft.
const recoverName = "recover"

// RecoverVault is what a recovery asks of the vault that it has found.
type RecoverVault interface {
	List(ctx context.Context) ([]vault.Archive, error)
	TryKeys(ctx context.Context, id string, ids vault.Identities) (string, error)
	PlanRecover(ctx context.Context, o vault.RecoverOptions) (*vault.RecoverPlan, error)
	UnlockRecover(ctx context.Context, p *vault.RecoverPlan) ([]string, error)
	PlanTakeOver(ctx context.Context, o vault.TakeOverOptions) (*vault.TakeOverPlan, error)
}

// RecoverWorld is where a recovery takes place.
type RecoverWorld struct {
	Path     string // of the configuration that a take-over writes, absolute
	StateDir string // where the draft is kept
	Access   vault.Access
	Random   io.Reader
	Given    RecoverGiven
	Runs     vault.Runs // start the recovery's job and follow it
	Again    func(command string) string
	Jobs     func(command string) string // the same for one about the recovery's job
	// Open gives the vault in a place as w names it; only the place is read.
	Open func(place config.Place, s store.Store, w vault.RecoverOrder) (RecoverVault, error)
	// Took opens the vault by the configuration that was written, and gives
	// the fingerprint of this host's key.
	Took func(ctx context.Context, t *TakeOver, plan *vault.TakeOverPlan) (fingerprint string, err error)
}

// RecoverGiven is what was said before the guide began: none of it is asked.
type RecoverGiven struct {
	From, Credentials, Vault string
	Signers                  []string
	TrustPlace               bool
	Files, Texts             []string // identities
	Server                   string
	Databases                []string
	As                       map[string]string
	Latest, NoTablespaces    bool
	Roles                    vault.Roles // empty: not given
	Jobs                     int
	TakeOver                 bool // only that
	Recipients               []string
	Schedule, Keep           string
}

// Keys of the answers in a draft; others are those of the set-up.
const (
	keyWhose    = "whose"
	keySigner   = "signer"
	keyFrom     = "key-from"
	keyKeyFile  = "key-file"
	keyKeyPaste = "key-paste"
	keyAs       = "new-names"
	keyPick     = "pick"
	keyRoles    = "roles"
	keySpaces   = "default-tablespace"
	keyBegin    = "begin"
	keyTake     = "take-over"
	keySchedule = "schedule"
	keyGone     = "old-host-gone"
	keyOthers   = "other-recipients"
	keyConfirm  = "confirm"
)

// Facts of the recovery.
const (
	factPlace     = "place found"
	factVouched   = "vouched"
	factArchives  = "archives"
	factOpens     = "opened"
	factRecovery  = "recovery"
	factAllChecks = "every check"
	factOver      = "take-over"
	factTook      = "took over"
)

// recovery is the guide's own memory: what is neither an answer nor to be
// shown.
type recovery struct {
	w RecoverWorld

	mu          sync.Mutex
	passphrases map[string]string // of identities, by name
	opened      RecoverVault
	openedAs    string

	toText string // the newest reading of the recipients
	to     *Recipients
	toErr  error
}

// RecoverGuide leads from an address and a key to all databases of a vault
// being back, and to backups that go on. The places are only read until the
// take-over.
func RecoverGuide(w RecoverWorld) *guide.Guide {
	r := &recovery{w: w, passphrases: map[string]string{}}
	g := &guide.Guide{
		Name: recoverName, Title: "RECOVER", Runs: w.Runs,
		Steps: []guide.Step{r.where(), r.which(), r.signed(), r.key(), r.server(), r.databases(), r.how(), r.checks(), r.plan(), r.run(), r.report(),
			r.takeOver(), r.confirm(), r.took()},
		Save: func(d guide.Draft) error {
			if d.Step == "took" {
				return dropDraft(w.StateDir, recoverName)
			}
			delete(d.Texts, keyBegin)
			delete(d.Texts, keyConfirm)
			return SaveDraft(w.StateDir, d)
		},
		Drop: func() error { return dropDraft(w.StateDir, recoverName) },
	}
	if w.Given.TakeOver {
		for i := range g.Steps {
			switch st := &g.Steps[i]; st.Key {
			case "key", "databases", "how", "checks", "plan", "run", "report":
				st.Skip = func(*guide.Values) bool { return true }
			}
		}
	}
	return g
}

// RecoverSession begins a recovery guide with what was given. A place that was
// named is opened first, so that nothing is asked which it tells.
func RecoverSession(ctx context.Context, w RecoverWorld) (*guide.Session, error) {
	v := recoverValues(w.Given)
	if w.Given.From != "" {
		if _, err := (&recovery{w: w}).find(ctx, v); err != nil {
			return nil, err
		}
	}
	return guide.New(RecoverGuide(w), v), nil
}

// recoverValues are the answers that were given before.
func recoverValues(g RecoverGiven) *guide.Values {
	v := guide.NewValues()
	set := func(key, text string) {
		if text != "" {
			v.Set(key, text)
		}
	}
	set(keyPlace, g.From)
	set(keyCredential, g.Credentials)
	set(keyVault, g.Vault)
	set(keySigner, strings.Join(g.Signers, " "))
	set(keyServer, g.Server)
	set(keyRoles, string(g.Roles))
	set(keyRecipients, strings.Join(g.Recipients, "\n"))
	set(keySchedule, g.Schedule)
	set(keyKeep, g.Keep)
	for flag, answer := range map[bool][2]string{g.TrustPlace: {keyWhose, "place"}, g.Latest: {keyPick, "latest"}, g.NoTablespaces: {keySpaces, "yes"}, g.TakeOver: {keyTake, "now"}} {
		if flag {
			v.Set(answer[0], answer[1])
		}
	}
	if len(g.Databases) > 0 {
		v.Set(keyWhich, "some")
		v.SetList(keyDatabases, g.Databases)
	}
	var names []string
	for old, name := range g.As {
		names = append(names, old+"="+name)
	}
	set(keyAs, strings.Join(names, ", "))
	return v
}

// RecoverUnfinished gives the draft of a recovery that is to go on.
func RecoverUnfinished(stateDir, path string) (guide.Draft, bool) {
	d, there := loadDraft(stateDir, recoverName)
	if _, err := os.Lstat(path); err == nil {
		return guide.Draft{}, false // it was taken over, or there is another vault
	}
	return d, there
}

// given tells whether the answers were given before the guide began.
func given(is bool) func(*guide.Values) bool { return func(*guide.Values) bool { return is } }

// foundPlace is a place that was opened, and the names of its vaults.
type foundPlace struct {
	place  config.Place
	store  store.Store
	vaults []string
}

// find opens the place, unless that was done for these answers.
func (r *recovery) find(ctx context.Context, v *guide.Values) (*foundPlace, error) {
	url, err := ParsePlace(v.Get(keyPlace))
	if err != nil {
		return nil, err
	}
	p := config.Place{URL: url}
	if far(v) {
		p.Credentials = v.Get(keyCredential)
	}
	if p, err = config.CheckPlace(p); err != nil {
		return nil, err
	}
	p.Name = PlaceName(url)
	if f := guide.FactOf[*foundPlace](v, factPlace); f != nil && f.place == p {
		return f, nil
	}
	f := &foundPlace{place: p}
	if f.store, err = OpenPlaceToRead(context.WithoutCancel(ctx), p); err != nil { // it outlives this step
		return nil, err
	}
	if f.vaults, err = vault.FindVaults(ctx, f.store); err != nil {
		return nil, err
	}
	if len(f.vaults) == 0 {
		return nil, NoVaultIn(f.store)
	}
	v.Put(factPlace, f)
	return f, nil
}

// NoVaultIn is the error of a place that has no vault.
func NoVaultIn(s store.Store) error {
	return &fault.Error{Op: "recover", What: "there is no vault in " + s.String(), Why: "no folder there has a vault.json", Left: "nothing was made or changed",
		Do: "compare the address with the recovery sheet: the folder above or below may be meant", Code: fault.NoVault}
}

// vaultName is the vault that is meant: the only one, or the one chosen.
func (r *recovery) vaultName(v *guide.Values, f *foundPlace) string {
	if r.w.Given.Vault == "" && len(f.vaults) == 1 {
		return f.vaults[0]
	}
	return v.Get(keyVault)
}

// vouched is who was vouched for under the fingerprints typed for it.
type vouched struct {
	typed string
	*vault.Vouched
}

// vouch settles whose signatures count; nil: the place's own word.
func (r *recovery) vouch(ctx context.Context, v *guide.Values, f *foundPlace) (*vault.Vouched, error) {
	if v.Get(keyWhose) == "place" {
		return nil, nil
	}
	typed := f.place.URL + " " + r.vaultName(v, f) + " " + v.Get(keySigner)
	if k := guide.FactOf[*vouched](v, factVouched); k != nil && k.typed == typed {
		return k.Vouched, nil
	}
	if strings.TrimSpace(v.Get(keySigner)) == "" {
		return nil, WhoseSignatures(r.vaultName(v, f))
	}
	k, err := vault.FindSigners(ctx, f.store, r.vaultName(v, f), strings.Fields(v.Get(keySigner)))
	if err != nil {
		return nil, err
	}
	v.Put(factVouched, &vouched{typed, k})
	return k, nil
}

// WhoseSignatures is the error of a recovery without a fingerprint.
func WhoseSignatures(name string) error {
	return &fault.Error{Op: "recover", What: "it is not known whose signatures count", Why: "the vault \"" + name + "\" names its own keys, and whoever can write into the place could have put others there", Left: "nothing was read further, made or changed",
		Do: "--signer with \"signed by\" of the recovery sheet; where there is no sheet, --trust-place takes the place's word", Code: fault.Refused}
}

// vault opens the vault that the answers name.
func (r *recovery) vault(ctx context.Context, v *guide.Values) (RecoverVault, vault.RecoverOrder, *foundPlace, error) {
	var o vault.RecoverOrder
	f, err := r.find(ctx, v)
	if err != nil {
		return nil, o, nil, err
	}
	k, err := r.vouch(ctx, v, f)
	if err != nil {
		return nil, o, nil, err
	}
	set, err := ParseServer(v.Get(keyServer))
	if err != nil {
		return nil, o, nil, err
	}
	o = vault.RecoverOrder{Place: f.place.URL, Credentials: f.place.Credentials, Vault: r.vaultName(v, f), Service: set.Service, Conninfo: set.Conninfo}
	if k != nil {
		o.Signers = k.Lines()
	}
	as, err := json.Marshal(o)
	if err != nil {
		return nil, o, nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opened == nil || r.openedAs != string(as) {
		if r.opened, err = r.w.Open(f.place, f.store, o); err != nil {
			r.opened = nil
			return nil, o, nil, err
		}
		r.openedAs = string(as)
	}
	return r.opened, o, f, nil
}

// savedArchives are the archives of a vault.
type savedArchives struct {
	of  string
	all []vault.Archive
}

// knownArchives are those that a Load has found; nothing is asked for them.
func knownArchives(v *guide.Values) []vault.Archive {
	return guide.FactOf[savedArchives](v, factArchives).all
}

// archives are those of the vault, newest first, asked for once.
func (r *recovery) archives(ctx context.Context, v *guide.Values) ([]vault.Archive, error) {
	opened, o, _, err := r.vault(ctx, v)
	if err != nil {
		return nil, err
	}
	of := o.Place + " " + o.Vault + " " + strings.Join(o.Signers, " ")
	if k := guide.FactOf[savedArchives](v, factArchives); k.of == of {
		return k.all, nil
	}
	all, err := opened.List(ctx)
	if err != nil {
		return nil, err
	}
	v.Put(factArchives, savedArchives{of, all})
	return all, nil
}
