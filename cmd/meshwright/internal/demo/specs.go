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

// The routers of the story. The walkthrough applies the first two from files of
// their own; here they take the router's place in its file.
func half() (string, error) { return manifest("appmesh-virtual-router-appserver-v1-v2.yaml") }
func all() (string, error)  { return manifest("appmesh-virtual-router-appserver-v2.yaml") }

// tenth gives v1 one request in ten again; misspelt, it names a virtual node
// that does not exist.
func tenth() (right, misspelt string, err error) {
	router, err := half()
	if err != nil {
		return "", "", err
	}
	const v1, v2 = "name: yelb-appserver\n              weight: 1", "name: yelb-appserver-v2\n              weight: 1"
	if !strings.Contains(router, v1) || !strings.Contains(router, v2) {
		return "", "", fmt.Errorf("the walkthrough's router is not as the demo knows it:\n%s", router)
	}
	right = strings.Replace(router, v2, strings.Replace(v2, ": 1", ": 9", 1), 1)
	return right, strings.Replace(right, v1, strings.Replace(v1, "appserver", "apserver", 1), 1), nil
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
