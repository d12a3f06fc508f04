package demo

import (
	"fmt"
	"io/fs"
	"strings"

	examples "github.com/meshwright/meshwright/fixtures/app-mesh-examples"
)

// Files of the repository.
const (
	SpecDir    = "specs"
	meshFile   = SpecDir + "/mesh.yaml"
	RouterFile = SpecDir + "/appmesh-yelb-appserver.yaml" // its router is what changes
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
