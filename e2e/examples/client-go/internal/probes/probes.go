// Package probes serves /livez and /readyz. Ready does not mean leader: a standby with a filled cache is Ready.
package probes

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Handler answers both paths: live is asked for /livez, and ready for /readyz.
func Handler(live func(*http.Request) error, ready func() bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, r *http.Request) {
		answer(w, live(r))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ready() {
			answer(w, nil)
		} else {
			answer(w, errors.New("the cache is not filled"))
		}
	})
	return mux
}

// Serve serves handler at address until ctx ends.
func Serve(ctx context.Context, address string, handler http.Handler) error {
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	end := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer end()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}
