// Image archives in the directories that are imported at start.

package node

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// imageArchives gives the image tarballs in dir in the order of their names. Another file is an error: it was put
// there to be imported, and pods would miss it much later.
func imageArchives(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("image archives: %w", err)
	}
	var archives []string
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".tar") && !compressed(name) {
			return nil, fmt.Errorf("%s is no image archive: .tar, .tar.gz and .tgz can be imported", filepath.Join(dir, name))
		}
		archives = append(archives, filepath.Join(dir, name))
	}
	return archives, nil
}

func compressed(name string) bool {
	return strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz")
}

// importImages hands an archive to containerd in the form it reads, which is the plain one.
func importImages(ctx context.Context, snapshotter, archive string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	var plain io.Reader = file
	if compressed(archive) {
		if plain, err = gzip.NewReader(file); err != nil {
			return err
		}
	}
	return command(ctx, plain, "ctr", "-n", "k8s.io", "images", "import", "--snapshotter", snapshotter, "-")
}
