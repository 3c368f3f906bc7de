package probes

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestEachPathSaysHowItIs(t *testing.T) {
	well := func(*http.Request) error { return nil }
	stuck := func(*http.Request) error { return errors.New("the election is stuck") }
	for _, test := range []struct {
		name  string
		path  string
		live  func(*http.Request) error
		ready bool
		want  int
	}{
		{"live", "/livez", well, false, http.StatusOK},
		{"not live", "/livez", stuck, true, http.StatusServiceUnavailable},
		{"ready", "/readyz", well, true, http.StatusOK},
		{"not ready", "/readyz", well, false, http.StatusServiceUnavailable},
		{"unknown path", "/", well, true, http.StatusNotFound},
	} {
		got := httptest.NewRecorder()
		Handler(test.live, func() bool { return test.ready }).ServeHTTP(got, httptest.NewRequest(http.MethodGet, test.path, nil))
		if got.Code != test.want {
			t.Errorf("%s: %d, want %d", test.name, got.Code, test.want)
		}
	}
}

func TestServingEndsWithItsContextAndABadAddressIsAnError(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	end()
	if err := Serve(ctx, "127.0.0.1:0", http.NotFoundHandler()); err != nil {
		t.Error(err)
	}
	if err := Serve(t.Context(), "nowhere", http.NotFoundHandler()); err == nil {
		t.Error("no error")
	}
}
