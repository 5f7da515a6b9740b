package cli

import (
	"os"

	"pgvault/config"
	"pgvault/vault"
	"pgvault/vault/store"
	"pgvault/vault/store/disk"
)

// session is a configuration and the vault it describes.
type session struct {
	conf  *config.Config
	vault *vault.Vault
}

// load reads the configuration: the file named by --config, else the
// default one; where that does not exist, the environment alone.
func (p *program) load() (*config.Config, error) {
	path := p.config
	if path == "" {
		path = config.DefaultPath()
		if _, err := os.Stat(path); os.IsNotExist(err) {
			return config.Parse(nil, "", os.LookupEnv)
		}
	}
	return config.Load(path, os.LookupEnv)
}

// open makes the vault that the configuration describes.
func (p *program) open() (*session, error) {
	conf, err := p.load()
	if err != nil {
		return nil, err
	}
	if p.vaultName != "" {
		conf.Vault.Name = p.vaultName
	}
	v := vault.New(p.vaultConfig(conf))
	return &session{conf: conf, vault: v}, nil
}

func (p *program) vaultConfig(conf *config.Config) vault.Config {
	c := vault.Config{
		Name: conf.Vault.Name, Label: conf.Vault.Label, Version: Version, Server: conf.Server,
		StateDir: config.StateDir(), ReadOnly: p.readOnly, Runner: p.runner(),
		RecipientsFile: conf.Keys.RecipientsFile, AllowOne: conf.Keys.AllowOneRecipient,
		SigningKey: conf.Keys.SigningKey, TrustedSigners: conf.Keys.TrustedSigners, SelfCheck: conf.Keys.SelfCheck,
		Select: conf.Select,
		Of: func(name string) vault.Database {
			d := conf.Database(name)
			return vault.Database{ExcludeTableData: d.ExcludeTableData, MaxAge: d.MaxAge, Keep: *d.Keep, Verify: vault.Proof(conf.Defaults.Verify), Jobs: conf.Defaults.Jobs}
		},
	}
	for _, d := range conf.Databases {
		if d.Name != "*" {
			c.Configured = append(c.Configured, d.Name)
		}
	}
	if len(conf.Places) > 0 {
		c.PlaceName = conf.Places[0].Name
		c.Place, c.PlaceErr = openPlace(conf.Places[0].URL)
	}
	return c
}

// openPlace opens a place by its address. Every kind of place is named
// here, so that what is linked can be seen.
func openPlace(url string) (store.Store, error) {
	d, err := disk.Open(url)
	if err != nil {
		return nil, err
	}
	return d, nil
}
