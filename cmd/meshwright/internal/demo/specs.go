package demo

import (
	"fmt"
	"io/fs"
	"strings"

	examples "github.com/meshwright/meshwright/fixtures/app-mesh-examples"
)

// Files of the repository.
const (
	SpecDir     = "specs"
	meshFile    = SpecDir + "/mesh.yaml"
	RouterFile  = SpecDir + "/appmesh-yelb-appserver.yaml" // its router is what changes
	v3File      = SpecDir + "/appmesh-yelb-appserver-v3.yaml"
	rolloutFile = SpecDir + "/rollout.yaml"
)

// mesh is what the walkthrough's reader made by hand: the mesh, and the label
// by which it selects the namespace.
const mesh = `apiVersion: appmesh.k8s.aws/v1beta2
kind: Mesh
metadata:
  name: yelb
spec:
  namespaceSelector:
    matchLabels:
      mesh: yelb
---
apiVersion: v1
kind: Namespace
metadata:
  name: yelb
  labels:
    mesh: yelb
`

// Repository is what the story begins with: App Mesh's manifests of Yelb as
// they are, with v2 of the appserver beside v1 and all traffic on v1.
func Repository() (map[string]string, error) {
	files := map[string]string{"NOTICE": examples.Notice(), meshFile: mesh}
	for _, name := range []string{"ui", "appserver", "appserver-v2", "redis", "db"} {
		name = "appmesh-yelb-" + name + ".yaml"
		text, err := manifest(name)
		if err != nil {
			return nil, err
		}
		files[SpecDir+"/"+name] = text
	}
	return files, nil
}

// Half is the walkthrough's router that gives v1 and v2 one half each. It
// applies it from a file of its own; here it takes the router's place in its
// file ([WithRouter]).
func Half() (string, error) { return manifest("appmesh-virtual-router-appserver-v1-v2.yaml") }

// All is the walkthrough's router that gives v2 everything.
func All() (string, error) { return manifest("appmesh-virtual-router-appserver-v2.yaml") }

// Tenth gives v1 one request in ten.
func Tenth() (string, error) {
	router, err := Half()
	if err != nil {
		return "", err
	}
	return edit(router, "name: yelb-appserver-v2\n              weight: 1", "name: yelb-appserver-v2\n              weight: 9")
}

// TenthMisspelt is Tenth with the name of a virtual node that does not exist.
func TenthMisspelt() (string, error) {
	router, err := Tenth()
	if err != nil {
		return "", err
	}
	return edit(router, "name: yelb-appserver\n              weight", "name: yelb-apserver\n              weight")
}

// V3 is a repository's files with a third version of the appserver, which gets
// all the traffic of a file with the router.
func V3(file string) (map[string]string, error) {
	node, err := manifest("appmesh-yelb-appserver-v2.yaml")
	if err != nil {
		return nil, err
	}
	router, err := All()
	if err != nil {
		return nil, err
	}
	if file, err = WithRouter(file, strings.ReplaceAll(router, "-v2", "-v3")); err != nil {
		return nil, err
	}
	return map[string]string{RouterFile: file, v3File: strings.ReplaceAll(node, "-v2", "-v3")}, nil
}

// rollout is a policy for the story's router. Its holds are those of a
// demonstration: an hour of real traffic is better evidence than seconds.
const rollout = `apiVersion: meshwright.dev/v1alpha1
kind: Rollout
metadata:
  name: appserver
  namespace: yelb
spec:
  start: %s
  targets:
    - kind: VirtualRouter
      name: yelb-appserver
  steps:
    - {weight: 5, hold: 3s}
    - {weight: 25, hold: 3s}
    - {weight: 50, hold: 3s}
  analysis:
    interval: 1s
    minRequests: 20
    failureLimit: 1
    successRate: {min: 99}
`

// Rollout is a repository's file with the policy that changes of the router are
// held to: they start with the "merge", or while the "pull-request" is open.
func Rollout(start string) map[string]string {
	return map[string]string{rolloutFile: fmt.Sprintf(rollout, start)}
}

// WithoutRetries takes the retries out of the router in a file: they hide from
// callers that a version answers with errors.
func WithoutRetries(file string) (string, error) {
	before, rest, ok := strings.Cut(file, "\n        retryPolicy:\n")
	if !ok || strings.Contains(rest, "retryPolicy") {
		return "", fmt.Errorf("not one retryPolicy in:\n%s", file)
	}
	if _, after, more := strings.Cut(rest, separator); more {
		return before + "\n" + separator + after, nil
	}
	return before + "\n", nil
}

// Plain is a router without its retries.
func Plain(router func() (string, error)) func() (string, error) {
	return func() (string, error) {
		text, err := router()
		if err != nil {
			return "", err
		}
		return WithoutRetries(text)
	}
}

// edit replaces what must be there once.
func edit(text, old, by string) (string, error) {
	if n := strings.Count(text, old); n != 1 {
		return "", fmt.Errorf("%q is %d times in:\n%s", old, n, text)
	}
	return strings.Replace(text, old, by, 1), nil
}

func manifest(name string) (string, error) {
	b, err := fs.ReadFile(examples.Yelb(), name)
	return string(b), err
}

const separator = "---\n"

// WithRouter replaces the VirtualRouter in a file of several documents, as
// `kubectl apply` of the new one did.
func WithRouter(file, router string) (string, error) {
	docs := strings.Split(file, separator)
	for i, doc := range docs {
		if strings.Contains(doc, "\nkind: VirtualRouter\n") {
			docs[i] = strings.TrimRight(router, "\n") + "\n"
			return strings.Join(docs, separator), nil
		}
	}
	return "", fmt.Errorf("no VirtualRouter in:\n%s", file)
}
