package lab

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"time"
)

// Moto is a running stand-in for AWS's APIs, which nobody here wrote.
type Moto struct {
	*Process
	URL string
}

// StartMoto starts the moto server at a path ([Tool] finds one) and waits until
// it answers.
func (l *Lab) StartMoto(ctx context.Context, path string) (*Moto, error) {
	free, err := net.Listen("tcp4", l.Net.At(1, 0).String())
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(free.Addr().String())
	free.Close()
	p, err := l.start("moto", exec.Command(path, "-H", host, "-p", port))
	if err != nil {
		return nil, err
	}
	m := &Moto{p, "http://" + net.JoinHostPort(host, port)}
	return m, Eventually(ctx, time.Minute, "moto answers", func() error {
		if err := p.Exited(); err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.URL+"/moto-api/data.json", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return fmt.Errorf("moto: %w", err)
		}
		return resp.Body.Close()
	})
}
