package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// api is how commands reach a running daemon.
type api struct {
	Server string `default:"http://127.0.0.1:8080" env:"MESHWRIGHT_SERVER" help:"The daemon's HTTP address."`
}

// fetch asks for a list of the API; name keeps those of its members that hold
// it.
func (a api) fetch(ctx context.Context, what, name string) ([]byte, error) {
	path := what
	if name != "" {
		path += "?name=" + url.QueryEscape(name)
	}
	body, code, err := a.do(ctx, http.MethodGet, path, "", nil)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("%s answered %d %s: %s", a.url(path), code, http.StatusText(code), strings.TrimSpace(string(body)))
	}
	return body, err
}

func (a api) url(path string) string {
	server := a.Server
	if !strings.Contains(server, "://") {
		server = "http://" + server
	}
	return strings.TrimSuffix(server, "/") + "/api/v1/" + path
}

// do sends a request, with a token where there is one, and returns the body and
// the status of the answer.
func (a api) do(ctx context.Context, method, path, token string, body io.Reader) ([]byte, int, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.url(path), body)
	if err != nil {
		return nil, 0, usageError{fmt.Errorf("--server: %w", err)}
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("no daemon answers at %s; start one with `meshwright serve` or name it with --server: %w", a.Server, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return answer, resp.StatusCode, err
}
