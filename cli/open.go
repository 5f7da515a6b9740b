package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/setup"
	"pgvault/vault"
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
			if config.Closed() {
				return nil, notYours()
			}
			return config.Parse(nil, "", os.LookupEnv)
		}
	}
	return config.Load(path, os.LookupEnv)
}

// notYours is for who is neither the vault's owner nor in its group.
func notYours() error {
	user := vault.AccessTo("", os.Geteuid()).User
	return &fault.Error{What: "You are " + user + "; the vault belongs to pgvault", Why: "its configuration in /etc/pgvault cannot be read by you",
		Left: "nothing was started", Do: "sudo -u pgvault pgvault, or ask to be put in group pgvault (read only)", Code: fault.Refused}
}

// open makes the vault that the configuration describes.
func (p *program) open() (*session, error) {
	conf, err := p.load()
	if err != nil {
		return nil, err
	}
	if p.onScreen {
		p.keepConfig(conf.File, config.StateDir(conf.File))
	}
	if err := p.becomeOwner(config.StateDir(conf.File)); err != nil {
		return nil, err
	}
	if p.vaultName != "" {
		conf.Vault.Name = p.vaultName
	}
	c := p.vaultConfig(conf)
	if p.kind == "" && !p.onScreen && !p.quiet && isTerminal(p.stderr) { // a run and the screen tell what they wait for
		c.Waits = func(place, address string, most time.Duration) {
			fmt.Fprintf(p.stderr, "waiting for place %s, %s, for up to %s\n", safetext.Line(place), safetext.Line(address), most)
		}
	}
	return &session{conf: conf, vault: vault.New(c)}, nil
}

func (p *program) vaultConfig(conf *config.Config) vault.Config {
	c := vault.Config{
		Name: conf.Vault.Name, Label: conf.Vault.Label, Version: Version, Server: conf.Server,
		Zone: conf.Vault.Location(), StateDir: config.StateDir(conf.File), File: conf.File, ReadOnly: p.readOnly, Runner: p.runner(),
		RecipientsFile: conf.Keys.RecipientsFile, AllowOne: conf.Keys.AllowOneRecipient,
		SigningKey: conf.Keys.SigningKey, TrustedSigners: conf.Keys.TrustedSigners, SelfCheck: conf.Keys.SelfCheck,
		DrillEvery: conf.Keys.DrillEvery, ProofMaxAge: conf.ProofMaxAge(), DrillsOnly: drillsOnly(conf),
		Tell:   vault.Tell{OnFailure: conf.Tell.OnFailure, PingFile: conf.Tell.PingFile, MetricsFile: conf.Tell.MetricsFile, Reminder: conf.Tell.Reminder},
		Select: conf.Select,
		Of: func(name string) vault.Database {
			d := conf.Database(name)
			return vault.Database{Copies: d.Copies, ExcludeTableData: d.ExcludeTableData, MaxAge: d.MaxAge, Schedule: conf.Schedule(name), Keep: *d.Keep, Grace: conf.Defaults.Grace, Removes: d.Removes, KeepFrom: d.KeepFrom, Verify: vault.Proof(conf.Defaults.Verify), Jobs: conf.Defaults.Jobs}
		},
	}
	if len(conf.Schedules()) > 0 {
		c.Starts = p.starter(conf)
	}
	for _, d := range conf.Databases {
		if d.Name != "*" {
			c.Configured = append(c.Configured, d.Name)
		}
	}
	for _, place := range conf.Places {
		at := vault.Place{Name: place.Name, URL: place.URL, ReadBack: vault.ReadBack(place.ReadBack), MinFree: int64(place.MinFree)}
		at.Store, at.Err = setup.OpenPlace(context.Background(), place, c.StateDir)
		c.Places = append(c.Places, at)
	}
	return c
}
