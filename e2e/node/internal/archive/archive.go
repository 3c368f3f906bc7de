// Package archive writes container images as docker-archive tarballs, which `docker load` and `ctr images import`
// both read. So no image builder is needed, and equal inputs give equal bytes.
package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"sort"
	"time"
)

// Config is the part of an image's configuration that is used here; the names are those of the image specification
// (github.com/opencontainers/image-spec, config.md).
type Config struct {
	Entrypoint   []string            `json:",omitempty"`
	Env          []string            `json:",omitempty"`
	Labels       map[string]string   `json:",omitempty"`
	Volumes      map[string]struct{} `json:",omitempty"`
	ExposedPorts map[string]struct{} `json:",omitempty"`
	StopSignal   string              `json:",omitempty"`
	User         string              `json:",omitempty"`
}

// Image is what Write writes. Layers are paths of tar files, lowest first.
type Image struct {
	Tags   []string
	Config Config
	Layers []string
}

// File is one entry of a layer: the contents of Source or, without it, Text; or a link to Link.
type File struct {
	Path   string
	Source string
	Text   string
	Link   string
	Mode   int64
}

// epoch is every file's time, so that contents alone decide about a layer's digest.
var epoch = time.Unix(0, 0).UTC()

// Layer writes a tar file of the given files, with the directories above them.
func Layer(target string, files []File) error {
	out, err := os.Create(target)
	if err != nil {
		return err
	}
	defer out.Close()
	writer := tar.NewWriter(out)
	made := map[string]bool{".": true}
	sort.Slice(files, func(i, j int) bool { return files[i].Path < files[j].Path })
	for _, file := range files {
		if err := directories(writer, made, path.Dir(file.Path)); err != nil {
			return err
		}
		if err := entry(writer, file); err != nil {
			return fmt.Errorf("%s in %s: %w", file.Path, target, err)
		}
	}
	if err := writer.Close(); err != nil {
		return err
	}
	return out.Close()
}

func directories(writer *tar.Writer, made map[string]bool, dir string) error {
	if made[dir] {
		return nil
	}
	if err := directories(writer, made, path.Dir(dir)); err != nil {
		return err
	}
	made[dir] = true
	return writer.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: epoch})
}

func entry(writer *tar.Writer, file File) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: file.Path, Mode: file.Mode, ModTime: epoch}
	switch {
	case file.Link != "":
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, file.Link, 0o777
		return writer.WriteHeader(header)
	case file.Source != "":
		return copyFile(writer, header, file.Source)
	default:
		return writeText(writer, header, []byte(file.Text))
	}
}

// Write writes the image as a docker-archive.
func Write(out io.Writer, image Image) error {
	type rootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
	root := rootFS{Type: "layers"}
	var names []string
	for _, layer := range image.Layers {
		digest, err := digest(layer)
		if err != nil {
			return err
		}
		root.DiffIDs = append(root.DiffIDs, "sha256:"+digest)
		names = append(names, digest+"/layer.tar")
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "created": epoch, "config": image.Config, "rootfs": root,
	})
	if err != nil {
		return err
	}
	sum := sha256.Sum256(config)
	configName := hex.EncodeToString(sum[:]) + ".json"
	manifest, err := json.Marshal([]any{map[string]any{"Config": configName, "RepoTags": image.Tags, "Layers": names}})
	if err != nil {
		return err
	}
	writer := tar.NewWriter(out)
	regular := func(name string) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, ModTime: epoch}
	}
	for i, layer := range image.Layers {
		if err := copyFile(writer, regular(names[i]), layer); err != nil {
			return fmt.Errorf("layer %s: %w", layer, err)
		}
	}
	if err := writeText(writer, regular(configName), config); err != nil {
		return err
	}
	if err := writeText(writer, regular("manifest.json"), manifest); err != nil {
		return err
	}
	return writer.Close()
}

func digest(file string) (string, error) {
	in, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer in.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, in); err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func copyFile(writer *tar.Writer, header *tar.Header, source string) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	header.Size = info.Size()
	if err := writer.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(writer, in)
	return err
}

func writeText(writer *tar.Writer, header *tar.Header, text []byte) error {
	header.Size = int64(len(text))
	if err := writer.WriteHeader(header); err != nil {
		return err
	}
	_, err := io.Copy(writer, bytes.NewReader(text))
	return err
}
