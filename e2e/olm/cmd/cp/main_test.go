package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAProgramIsCopied(t *testing.T) {
	folder := t.TempDir()
	from, to := filepath.Join(folder, "from"), filepath.Join(folder, "to")
	if err := os.WriteFile(from, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"-Rv", from, to}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(to)
	if err != nil || string(content) != "program" {
		t.Fatalf("%q, %v", content, err)
	}
	seen, err := os.Stat(to)
	if err != nil || seen.Mode().Perm()&0o111 == 0 {
		t.Fatalf("%v, %v", seen.Mode(), err)
	}
	for _, arguments := range [][]string{nil, {from}, {from, to, to}, {folder + "/none", to}} {
		if run(arguments) == nil {
			t.Errorf("%v", arguments)
		}
	}
}
