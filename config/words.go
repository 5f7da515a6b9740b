package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"pgvault/vault/retention"
)

// ParseDuration reads a duration as the file holds it: "90m", "36h", "1d",
// "2w". Zero, and more than a hundred years, are errors.
func ParseDuration(s string) (time.Duration, error) { return parseDuration(strings.TrimSpace(s)) }

// FormatDuration writes a duration so that ParseDuration reads it back, in
// the largest units that fit: "1d12h", "2w".
func FormatDuration(d time.Duration) string {
	if d <= 0 {
		return "0s"
	}
	var b strings.Builder
	for _, u := range []struct {
		name string
		d    time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if u.name == "w" && d%u.d != 0 {
			continue // 9d says more than 1w2d
		}
		if n := d / u.d; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			d -= n * u.d
		}
	}
	if b.Len() == 0 {
		return d.String() // below a millisecond
	}
	return b.String()
}

// policyRules are the rules of a policy, in the order they are written.
func policyRules(p *retention.Policy) []struct {
	name  string
	count *int
} {
	return []struct {
		name  string
		count *int
	}{{"last", &p.Last}, {"hourly", &p.Hourly}, {"daily", &p.Daily}, {"weekly", &p.Weekly}, {"monthly", &p.Monthly}, {"yearly", &p.Yearly}}
}

// FormatPolicy writes a policy as a person says it: "3 last, 7 daily, within
// 14d". ParsePolicy reads it back.
func FormatPolicy(p retention.Policy) string {
	var parts []string
	for _, r := range policyRules(&p) {
		if *r.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", *r.count, r.name))
		}
	}
	if p.Within > 0 {
		parts = append(parts, "within "+FormatDuration(p.Within))
	}
	return strings.Join(parts, ", ")
}

// ParsePolicy reads "7 daily, 4 weekly", "daily = 7, weekly = 4", with commas
// or without. A rule that is not known or comes twice, a number out of range
// and a policy without a rule are errors.
func ParsePolicy(s string) (retention.Policy, error) {
	var p retention.Policy
	words := strings.Fields(strings.NewReplacer(",", " ", "=", " ", "{", " ", "}", " ", `"`, " ").Replace(s))
	if len(words)%2 != 0 {
		return p, fmt.Errorf("write each rule with its number, such as 7 daily, 4 weekly, 6 monthly, within 30d")
	}
	seen := map[string]bool{}
	for i := 0; i < len(words); i += 2 {
		name, value := strings.ToLower(words[i]), words[i+1]
		if _, err := strconv.Atoi(name); err == nil {
			name, value = strings.ToLower(value), name
		}
		if seen[name] {
			return p, fmt.Errorf("%q comes twice", name)
		}
		seen[name] = true
		if err := setRule(&p, name, value); err != nil {
			return p, err
		}
	}
	return p, p.Validate()
}

func setRule(p *retention.Policy, name, value string) error {
	if name == "within" {
		d, err := ParseDuration(value)
		p.Within = d
		if err != nil {
			return fmt.Errorf("within %q: %w", value, err)
		}
		return nil
	}
	var names []string
	for _, r := range policyRules(p) {
		if r.name == name {
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 {
				return fmt.Errorf("%s %q: not a number", name, value)
			}
			*r.count = n
			return nil
		}
		names = append(names, r.name)
	}
	return fmt.Errorf("%q is no rule: %s, within", name, strings.Join(names, ", "))
}

// tomlPolicy writes a policy as the file holds it.
func tomlPolicy(p retention.Policy) string {
	var parts []string
	for _, r := range policyRules(&p) {
		if *r.count > 0 {
			parts = append(parts, fmt.Sprintf("%s = %d", r.name, *r.count))
		}
	}
	if p.Within > 0 {
		parts = append(parts, fmt.Sprintf("within = %q", FormatDuration(p.Within)))
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}
