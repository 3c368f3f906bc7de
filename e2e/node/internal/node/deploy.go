// Manifests: those at start, which have to be applied before the node is up, and those that come later.

package node

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/finos/5spot-rs/e2e/node/internal/cluster"
	"github.com/finos/5spot-rs/e2e/node/internal/manifest"
)

const (
	manifestInterval = time.Second
	// retryFailed keeps a manifest that can't be applied from filling the audit log.
	retryFailed = 5 * time.Second
	// manifestLimit bounds the wait for the manifests that are there at start. k3s would go on without them.
	manifestLimit = 60 * time.Second
)

// deploy applies the bundled objects and then the files that are in the manifests directory at start.
func (s *server) deploy(ctx context.Context) error {
	if s.opts.CoreDNS {
		objects, err := dnsObjects(s.forward)
		if err != nil {
			return err
		}
		if err := s.admin.Apply(ctx, objects); err != nil {
			return err
		}
	}
	return cluster.Wait(ctx, "manifests are applied", 250*time.Millisecond, manifestLimit, func(ctx context.Context) error {
		paths, err := s.manifests.Changed()
		if err != nil {
			return fmt.Errorf("manifests: %w", err)
		}
		for _, path := range paths {
			if err := s.applyFile(ctx, path); err != nil {
				return err
			}
		}
		return nil
	})
}

// keepManifests applies files that appear or change later. Errors are logged, and the file is tried again.
func (s *server) keepManifests(ctx context.Context) {
	retryAt := map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(manifestInterval):
		}
		paths, err := s.manifests.Changed()
		if err != nil {
			slog.Error("cannot read the manifests", "err", err)
			continue
		}
		for _, path := range paths {
			if time.Now().Before(retryAt[path]) {
				continue
			}
			if err := s.applyFile(ctx, path); err != nil {
				slog.Error("manifest not applied", "err", err)
				retryAt[path] = time.Now().Add(retryFailed)
			}
		}
	}
}

func (s *server) applyFile(ctx context.Context, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	objects, err := manifest.Parse(text)
	if err == nil {
		err = s.admin.Apply(ctx, objects)
	}
	if err != nil {
		return fmt.Errorf("manifest %s: %w", path, err)
	}
	s.manifests.Done(path)
	slog.Info("manifest applied", "path", path, "objects", len(objects))
	return nil
}
