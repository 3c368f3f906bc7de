// The walk over the arguments: which forms a flag may take, and how a wrong one is refused.

package options

import (
	"fmt"
	"sort"
	"strings"
)

// flag is one accepted flag; set is called once per occurrence.
type flag struct {
	name    string
	boolean bool
	set     func(value string) error
}

// parse walks args, which hold flags only, as --name=value, --name value, or --name for a boolean one.
func parse(flags []flag, args []string) error {
	byName := make(map[string]flag, len(flags))
	for _, f := range flags {
		byName[f.name] = f
	}
	for i := 0; i < len(args); i++ {
		long, isFlag := strings.CutPrefix(args[i], "--")
		name, value, hasValue := strings.Cut(long, "=")
		f, known := byName[name]
		if !isFlag || !known {
			what := "argument"
			if strings.HasPrefix(args[i], "-") {
				what = "flag"
			}
			shown, _, _ := strings.Cut(args[i], "=")
			return fmt.Errorf("%s %s is not supported by this node; accepted: %s", what, shown, accepted(flags))
		}
		switch {
		case hasValue:
		case f.boolean:
			value = "true"
		case i+1 < len(args):
			i++
			value = args[i]
		default:
			return fmt.Errorf("flag --%s needs a value", name)
		}
		if err := f.set(value); err != nil {
			return fmt.Errorf("flag --%s: %w", name, err)
		}
	}
	return nil
}

func accepted(flags []flag) string {
	names := make([]string, 0, len(flags))
	for _, f := range flags {
		names = append(names, "--"+f.name)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}
