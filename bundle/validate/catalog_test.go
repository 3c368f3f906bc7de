package main

import (
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	const rendered = `{"schema": "olm.bundle", "name": "a.v1", "image": "image-of-the-bundle", "properties": [{"type": "one"}, {"type": "two"}]}`
	cases := map[string]struct{ catalog, message string }{
		"same":         {"schema: olm.package\nname: a\n---\nschema: olm.bundle\nname: a.v1\nimage: r/a@sha256:1\nproperties: [{type: two}, {type: one}]\n", ""},
		"another name": {"schema: olm.bundle\nname: a.v2\n", "no olm.bundle a.v1"},
		"lacks one":    {"schema: olm.bundle\nname: a.v1\nimage: i\nproperties: [{type: two}]\n", "a.v1: properties differs"},
		"says more":    {"schema: olm.bundle\nname: a.v1\nimage: i\nproperties: [{type: two}, {type: one}]\nextra: 1\n", "a.v1: extra differs"},
	}
	for name, one := range cases {
		t.Run(name, func(t *testing.T) {
			err := compare([]byte(one.catalog), []byte(rendered))
			if (err == nil) != (one.message == "") || err != nil && !strings.Contains(err.Error(), one.message) {
				t.Errorf("got %v, want %q", err, one.message)
			}
		})
	}
}
