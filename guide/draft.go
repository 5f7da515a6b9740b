package guide

import "pgvault/vault"

// Draft is what is kept of a guide that was left: what the person answered,
// where it stood, and the jobs it started. It never holds a secret.
type Draft struct {
	Guide string              `json:"guide"`
	Step  string              `json:"step"`
	Texts map[string]string   `json:"texts"`
	Lists map[string][]string `json:"lists,omitempty"`
	Jobs  map[string]string   `json:"jobs,omitempty"` // job id by step
}

// Draft gives what would be kept now.
func (s *Session) Draft() Draft {
	d := Draft{Guide: s.g.Name, Step: s.Step().Key, Texts: map[string]string{}, Lists: map[string][]string{}, Jobs: map[string]string{}}
	for key, on := range s.v.touched {
		if !on {
			continue
		}
		if t, ok := s.v.texts[key]; ok {
			d.Texts[key] = t
		}
		if l, ok := s.v.lists[key]; ok {
			d.Lists[key] = l
		}
	}
	// What was proposed in a step and left as it stood is an answer, once that
	// step is behind.
	for i := range s.at {
		for _, f := range s.g.Steps[i].Fields {
			if t := s.v.texts[f.Key]; t != "" && f.Kind != Secret {
				d.Texts[f.Key] = t
			}
			if l := s.v.lists[f.Key]; len(l) > 0 {
				d.Lists[f.Key] = l
			}
		}
	}
	for step, r := range s.v.runs {
		d.Jobs[step] = r.Job.ID
	}
	return d
}

// Resume begins g where d was left. Facts are not in a draft: the step's
// Load finds them out again. A job that was started is followed again, never
// started twice. A draft of another guide, or at a step that is gone, begins
// at the first step with what fits.
func Resume(g *Guide, d Draft) *Session {
	v := NewValues()
	if d.Guide != g.Name {
		return New(g, v)
	}
	for key, t := range d.Texts {
		v.Set(key, t)
	}
	for key, l := range d.Lists {
		v.SetList(key, l)
	}
	for step, id := range d.Jobs {
		v.runs[step] = &Run{Job: vault.Job{ID: id}}
	}
	s := begin(g, v)
	s.at = s.index(d.Step)
	if s.at < 0 || s.skipped(s.at) {
		s.at = s.next(-1)
	}
	for i := range s.at {
		st := &g.Steps[i]
		if st.Final || st.Job != nil && v.Run(st.Key) != nil {
			s.reached = i + 1
		}
		if st.Job != nil && v.Run(st.Key) != nil {
			s.watch(st.Key)
		}
	}
	s.enter()
	return s
}
