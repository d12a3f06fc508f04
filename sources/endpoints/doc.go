// Package endpoints asks AWS Cloud Map for the instances of virtual nodes. It
// owns when and how is asked, and what is known when no answer comes; it does
// not decide what proxies get.
//
// The one rule: what was found last is kept until something else is found. A
// registry that fails, or a daemon that starts anew while it does, takes no
// endpoint from a proxy; only an answer does.
//
//	w, err := endpoints.New(endpoints.Config{Registry: &endpoints.CloudMap{Region: "eu-central-1"}, Moved: poke})
//	go w.Run(ctx)
//	w.Serve(spec)     // asks for what the spec's nodes need
//	found := w.Found() // what is known now, by query
package endpoints
