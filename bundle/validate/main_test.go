package main

import (
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	accepted := []exception{{Text: "known", Why: "it is"}}
	cases := map[string]struct {
		findings []string
		accepted []exception
		message  string
	}{
		"nothing":              {nil, nil, ""},
		"found":                {[]string{"csv: wrong"}, nil, "csv: wrong"},
		"accepted":             {[]string{"csv: known"}, accepted, ""},
		"no longer there":      {nil, accepted, `exception "known" does not occur any more`},
		"accepted and another": {[]string{"csv: known", "crd: wrong"}, accepted, "crd: wrong"},
	}
	for name, one := range cases {
		t.Run(name, func(t *testing.T) {
			err := judge(one.findings, one.accepted)
			if (err == nil) != (one.message == "") || err != nil && !strings.Contains(err.Error(), one.message) {
				t.Errorf("got %v, want %q", err, one.message)
			}
		})
	}
}
