package main

import (
	"context"
	"io/fs"
	"time"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources/endpoints"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/certs"
	"github.com/meshwright/meshwright/xds/translate"
)

// facts are what proxies are served beside the spec. They come from edges,
// which are told the spec and ring a bell when what they know has changed.
type facts struct {
	endpoints    *endpoints.Watcher
	certificates *certs.Keeper
	tracing      translate.Tracing // a setting: it never changes
}

// desired is the whole of the pure middle: spec and facts → desired state. It
// waits for nothing: it takes what is known.
func (f facts) desired(commit string, spec *schema.Spec, prev xds.State) xds.State {
	f.endpoints.Serve(spec)
	before, _ := prev.(*translate.Snapshot)
	return translate.New(translate.Inputs{
		Commit: commit, Spec: spec, Endpoints: f.endpoints.Found(), Certificates: f.certificates.For(spec), Tracing: f.tracing,
	}, before)
}

// awaited loads a spec and asks for the facts that it needs and that nobody
// has asked for before, so that they are there when it is served.
func (f facts) awaited(load reconciler.Load) reconciler.Load {
	return func(ctx context.Context, files fs.FS) (*schema.Result, error) {
		r, err := load(ctx, files)
		if err == nil && r.Spec != nil {
			f.endpoints.Await(ctx, r.Spec, 3*time.Second)
		}
		return r, err
	}
}

// ring wakes who waits for the bell, of capacity 1; rings coalesce.
func ring(bell chan<- struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}
