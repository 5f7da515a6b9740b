package setup

import "pgvault/guide"

const keyWhat = "what"

// Welcome is the first page of a machine that has no vault: it asks what the
// person is here for; left tells that there is a recovery to go on with.
// WelcomeToRecover tells the answer.
func Welcome(left bool) *guide.Guide {
	return &guide.Guide{Name: "welcome", Title: "WELCOME", Steps: []guide.Step{{
		Key: "what", Name: "Begin", Question: "What are you here for?",
		Text: "Nothing is written before you have seen what will be.",
		Why:  "A vault is a collection of encrypted backups with one identity. Either this server is to get one, or there is one already in some place, and this machine is to have its databases back.",
		Fields: []guide.Field{{Key: keyWhat, Label: "here to", Kind: guide.Choice, Options: func(*guide.Values) []guide.Option {
			out := []guide.Option{
				{Value: "setup", Label: "Set up backups on this server"},
				{Value: "recover", Label: "RECOVER: the old server is gone, I have a place and a key"},
			}
			if left {
				out = append([]guide.Option{{Value: "go on", Label: "Go on with the recovery that was left"}}, out...)
			}
			return out
		}}},
		Body: func(v *guide.Values) []guide.Section {
			line := func(label, text string) guide.Section {
				return guide.Section{Label: label, Lines: []guide.Line{{Text: text}}}
			}
			switch v.Get(keyWhat) {
			case "go on":
				return []guide.Section{line("", "Where it stood, with all that was answered but keys; a job that was started is shown again.")}
			case "setup":
				return []guide.Section{line("", "Server, databases, keys, a place, what is kept and when: then a first backup, and a restore of it to see that it works.")}
			}
			return []guide.Section{
				line("", "You need two things only:"),
				line("1", "the address of a place: it is in part 1 of your recovery sheet"),
				line("2", "one secret key: part 2 of the sheet names those that serve"),
				line("", "You do not need: the old configuration, the old server, its state."),
			}
		},
	}}}
}

// WelcomeToRecover tells whether a recovery was asked for on the first page,
// and whether anew, though one was left.
func WelcomeToRecover(v *guide.Values) (wanted, anew bool) {
	what := v.Get(keyWhat)
	return what == "recover" || what == "go on", what == "recover"
}
