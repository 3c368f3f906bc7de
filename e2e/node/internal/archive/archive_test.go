package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// read gives the entries of a tar: contents of files, "dir" and "-> target".
func read(t *testing.T, in io.Reader) (names []string, contents map[string]string) {
	t.Helper()
	contents = map[string]string{}
	reader := tar.NewReader(in)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return names, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
		text, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		switch header.Typeflag {
		case tar.TypeDir:
			contents[header.Name] = "dir"
		case tar.TypeSymlink:
			contents[header.Name] = "-> " + header.Linkname
		default:
			contents[header.Name] = string(text)
		}
	}
}

func layer(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source, target := filepath.Join(dir, "source"), filepath.Join(dir, "layer.tar")
	if err := os.WriteFile(source, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Layer(target, []File{
		{Path: "usr/bin/b", Link: "a"}, {Path: "usr/bin/a", Source: source, Mode: 0o755}, {Path: "etc/passwd", Text: "root", Mode: 0o644},
	})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestLayerHoldsFilesLinksAndTheirDirectoriesOnce(t *testing.T) {
	file, err := os.Open(layer(t))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	names, contents := read(t, file)
	if want := []string{"etc/", "etc/passwd", "usr/", "usr/bin/", "usr/bin/a", "usr/bin/b"}; !reflect.DeepEqual(names, want) {
		t.Errorf("got %v", names)
	}
	if contents["usr/bin/a"] != "program" || contents["usr/bin/b"] != "-> a" || contents["etc/passwd"] != "root" {
		t.Errorf("got %v", contents)
	}
}

func TestImageNamesItsLayersByDigestAndEqualInputsGiveEqualBytes(t *testing.T) {
	write := func() []byte {
		var out bytes.Buffer
		if err := Write(&out, Image{Tags: []string{"a:1", "a:2"}, Config: Config{Entrypoint: []string{"/bin/k3s"}}, Layers: []string{layer(t)}}); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	first := write()
	if !bytes.Equal(first, write()) {
		t.Error("two runs differ")
	}
	_, contents := read(t, bytes.NewReader(first))
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal([]byte(contents["manifest.json"]), &manifest); err != nil {
		t.Fatal(err)
	}
	var config struct {
		Config Config
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal([]byte(contents[manifest[0].Config]), &config); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(contents[manifest[0].Layers[0]]))
	if want := []string{"sha256:" + hex.EncodeToString(sum[:])}; !reflect.DeepEqual(config.RootFS.DiffIDs, want) {
		t.Errorf("got %v, want %v", config.RootFS.DiffIDs, want)
	}
	if !reflect.DeepEqual(manifest[0].RepoTags, []string{"a:1", "a:2"}) || config.Config.Entrypoint[0] != "/bin/k3s" {
		t.Errorf("got %+v %+v", manifest, config)
	}
}
