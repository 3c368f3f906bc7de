// cp is what OLM's init containers call by this name, in an image that has nothing but OLM's programs: it copies one
// program. Flags of the usual cp, of which OLM gives -Rv, change nothing about that.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cp:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	var paths []string
	for _, argument := range arguments {
		if !strings.HasPrefix(argument, "-") {
			paths = append(paths, argument)
		}
	}
	if len(paths) != 2 {
		return fmt.Errorf("%v: must be a file and where it is to be copied to", arguments)
	}
	return copyProgram(paths[0], paths[1])
}

func copyProgram(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	if _, err = io.Copy(target, source); err != nil {
		return fmt.Errorf("failed to copy %s to %s: %w", from, to, err)
	}
	return nil
}
