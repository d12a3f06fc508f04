package translate

import (
	"slices"
	"strings"

	"github.com/meshwright/meshwright/schema"
)

// hostnames returns what applications of a namespace call each backend: its
// App Mesh name, and the shorter forms that Kubernetes' DNS knows it by.
// A short form that two backends have belongs to the one of the namespace, or
// to none. All are in lower case, as Envoy compares them.
func hostnames(links []schema.BackendLink, namespace string) map[*schema.VirtualService][]string {
	owners := map[string][]*schema.VirtualService{}
	for _, link := range links {
		for _, name := range shortForms(link.Service) {
			owners[name] = append(owners[name], link.Service)
		}
	}
	full := map[string]bool{}
	names := map[*schema.VirtualService][]string{}
	for _, link := range links {
		if name := strings.ToLower(link.Service.AWSName); !full[name] {
			full[name] = true
			names[link.Service] = []string{name}
		}
	}
	for _, link := range links {
		v := link.Service
		for _, name := range shortForms(v) {
			rivals := slices.DeleteFunc(slices.Clone(owners[name]), func(o *schema.VirtualService) bool { return o.Ref.Namespace != namespace })
			if len(owners[name]) == 1 {
				rivals = owners[name]
			}
			if !full[name] && len(rivals) == 1 && rivals[0] == v {
				names[v] = append(names[v], name)
			}
		}
	}
	return names
}

// shortForms of a name of the form SVC.NAMESPACE.svc.cluster.local, or of App
// Mesh's default SVC.NAMESPACE.
func shortForms(v *schema.VirtualService) []string {
	name := strings.ToLower(v.AWSName)
	short, cluster := strings.CutSuffix(name, ".svc.cluster.local")
	svc, namespace, ok := strings.Cut(short, ".")
	if !ok || strings.Contains(namespace, ".") || !cluster && name != strings.ToLower(v.Ref.Name+"."+v.Ref.Namespace) {
		return nil
	}
	forms := []string{svc, short, short + ".svc", short + ".svc.cluster.local"}
	return slices.DeleteFunc(forms, func(f string) bool { return f == name })
}

// withPort returns the names without and with a port; * is any.
func withPort(names []string, port string) []string {
	return append(slices.Clone(names), suffixed(names, ":"+port)...)
}

func suffixed(names []string, suffix string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = name + suffix
	}
	return out
}
