package schema

// VirtualService is the VirtualService kind. Its AWSName is the hostname that
// applications call.
type VirtualService struct {
	Meta
	Spec VirtualServiceSpec
}

// VirtualServiceSpec is spec of a VirtualService.
type VirtualServiceSpec struct {
	AWSName  string         `json:"awsName,omitempty"`
	Provider *Provider      `json:"provider,omitempty"`
	MeshRef  *MeshReference `json:"meshRef,omitempty"`
}

// Provider is a virtual node or a virtual router.
type Provider struct {
	VirtualNode   *NodeProvider   `json:"virtualNode,omitempty"`
	VirtualRouter *RouterProvider `json:"virtualRouter,omitempty"`
}

// NodeProvider names the node by reference or ARN.
type NodeProvider struct {
	VirtualNodeRef *Reference `json:"virtualNodeRef,omitempty"`
	VirtualNodeARN string     `json:"virtualNodeARN,omitempty"`
}

// RouterProvider names the router by reference or ARN.
type RouterProvider struct {
	VirtualRouterRef *Reference `json:"virtualRouterRef,omitempty"`
	VirtualRouterARN string     `json:"virtualRouterARN,omitempty"`
}

// BackendGroup is the BackendGroup kind: virtual services under one name. The
// group named * means every virtual service of the mesh.
type BackendGroup struct {
	Meta
	Spec BackendGroupSpec
}

// BackendGroupSpec is spec of a BackendGroup.
type BackendGroupSpec struct {
	VirtualServices []Reference    `json:"virtualservices,omitempty"`
	MeshRef         *MeshReference `json:"meshRef,omitempty"`
}
