package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshwright/meshwright/schema"
)

// written NODE [MACHINE[,FIELD=VALUE]...]... writes a node's Endpoints and, once
// the proxies run, applies them.
func written(ctx context.Context, w *mesh, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: written NODE [MACHINE[,FIELD=VALUE]...]...")
	}
	var text strings.Builder
	fmt.Fprintf(&text, "apiVersion: meshwright.dev/v1alpha1\nkind: Endpoints\nmetadata: {name: %[1]s, namespace: shop}\nspec:\n  virtualNodeRef: {name: %[1]s}\n  endpoints:\n", args[0])
	if len(args) == 1 {
		text.WriteString("    []\n")
	}
	for _, arg := range args[1:] {
		name, fields, _ := strings.Cut(arg, ",")
		addr, err := w.machineAddr(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "  - {address: %q", addr)
		for f := range strings.SplitSeq(fields, ",") {
			if field, value, ok := strings.Cut(f, "="); ok {
				fmt.Fprintf(&text, ", %s: %s", field, value)
			}
		}
		text.WriteString("}\n")
	}
	if err := os.WriteFile(filepath.Join(w.dir, "endpoints-"+args[0]+".yaml"), []byte(text.String()), 0o600); err != nil {
		return err
	}
	return w.again(ctx)
}

// registry SERVICE.NAMESPACE [MACHINE...] is what AWS Cloud Map would answer.
func registry(ctx context.Context, w *mesh, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: registry SERVICE.NAMESPACE [MACHINE...]")
	}
	service, namespace, _ := strings.Cut(args[0], ".")
	var instances []schema.Instance
	for _, name := range args[1:] {
		addr, err := w.machineAddr(name)
		if err != nil {
			return err
		}
		instances = append(instances, schema.Instance{IPv4: addr})
	}
	found := maps.Clone(w.found)
	if found == nil {
		found = map[schema.Query]*schema.Found{}
	}
	found[(&schema.CloudMapDiscovery{NamespaceName: namespace, ServiceName: service}).Query()] = schema.NewFound(instances)
	w.found = found
	return w.again(ctx)
}

func (w *mesh) machineAddr(name string) (netip.Addr, error) {
	found := w.called(name)
	if len(found) != 1 || found[0].proxy == nil && w.up && !found[0].bare {
		return netip.Addr{}, fmt.Errorf("no one machine %s", name)
	}
	return w.ground.addr(found[0]), nil
}

// again makes the state of what is there now, and serves it once it is served
// at all.
func (w *mesh) again(ctx context.Context) error {
	if w.up {
		return w.apply(ctx)
	}
	return w.load(ctx)
}
