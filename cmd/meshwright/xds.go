package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/certs"
	"github.com/meshwright/meshwright/xds/translate"
)

// capture is how the proxy gets its application's traffic.
type capture struct {
	Capture string            `enum:"transparent,explicit,grpc" default:"transparent" help:"How traffic reaches the proxy: ${enum} (iptables; a local listener for each port and backend; not at all, for a gRPC client that speaks xDS itself)."`
	Listen  map[string]string `placeholder:"PORT=IP:PORT" help:"Explicit: where the proxy takes traffic for the node's listener PORT (default 0.0.0.0:PORT)."`
	App     map[string]string `placeholder:"PORT=IP:PORT" help:"Where the application listens for PORT (default 127.0.0.1:PORT)."`
	Backend map[string]string `placeholder:"SERVICE=IP:PORT" help:"Explicit: where the proxy offers a backend to the application (default 127.0.0.1:PORT)."`
}

func (f capture) value() (xds.Capture, error) {
	if f.Capture == "grpc" {
		if len(f.Listen)+len(f.App)+len(f.Backend) > 0 {
			return xds.Capture{}, usageError{errors.New("--capture grpc: a gRPC client has no addresses (--listen, --app, --backend)")}
		}
		return xds.Capture{Proxyless: true}, nil
	}
	addresses := map[xds.Role]map[string]netip.AddrPort{}
	for role, byName := range map[xds.Role]map[string]string{xds.RoleListen: f.Listen, xds.RoleApp: f.App, xds.RoleBackend: f.Backend} {
		for name, s := range byName {
			addr, err := netip.ParseAddrPort(s)
			if err != nil {
				return xds.Capture{}, usageError{fmt.Errorf("--%s %s=%s: write IP:PORT, as 127.0.0.1:8080", role, name, s)}
			}
			if addresses[role] == nil {
				addresses[role] = map[string]netip.AddrPort{}
			}
			addresses[role][name] = addr
		}
	}
	return xds.NewCapture(f.Capture == "explicit", addresses), nil
}

type xdsCmd struct {
	tree
	capture
	Proxy  string `required:"" placeholder:"IDENTITY" help:"mesh/MESH/virtualNode/NAME or mesh/MESH/virtualGateway/NAME."`
	Hosts  bool   `name:"virtual-hosts" help:"Print what an Envoy with the bootstrap of now gets: the routes to backends as virtual hosts of their own (VHDS), not in whole route configurations."`
	Static bool   `help:"Print a whole bootstrap with the resources as static ones, for envoy --mode validate."`
}

func (cmd xdsCmd) Run(ctx context.Context, c console) error {
	profile, err := cmd.profile()
	if err != nil {
		return err
	}
	spec, err := cmd.spec(ctx, c)
	if err != nil {
		return err
	}
	specimens, err := certs.Specimens(cmd.Certificates.Settings, spec)
	if err != nil {
		return err
	}
	snapshot := translate.New(translate.Inputs{Spec: spec, Certificates: specimens}, nil)
	resources, err := snapshot.Resources(profile)
	if err != nil {
		return meant(err, spec)
	}
	for _, notice := range snapshot.Notices(profile) {
		fmt.Fprintln(c.err, notice)
	}
	print := translate.JSON
	if cmd.Static {
		print = func(r *xds.Resources) ([]byte, error) { return translate.Static(profile.Identity, r) }
	}
	out, err := print(resources)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "%s\n", out)
	return err
}

func (cmd xdsCmd) profile() (xds.Profile, error) {
	id, err := xds.ParseIdentity(cmd.Proxy)
	if err != nil {
		return xds.Profile{}, usageError{fmt.Errorf("--proxy: %w", err)}
	}
	capture, err := cmd.value()
	byHost := cmd.Hosts && id.Kind == schema.KindVirtualNode && !capture.Proxyless
	if byHost && cmd.Static {
		return xds.Profile{}, usageError{errors.New("--virtual-hosts: static resources have whole routes (--static)")}
	}
	return xds.Profile{Identity: id, Capture: capture, VirtualHosts: byHost}, err
}
