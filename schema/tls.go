package schema

// ListenerTLS is how a listener ends TLS.
type ListenerTLS struct {
	Mode        string              `json:"mode"` // DISABLED, PERMISSIVE or STRICT
	Certificate ListenerCertificate `json:"certificate"`
	Validation  *Validation         `json:"validation,omitempty"`
}

// ListenerCertificate is one of three sources.
type ListenerCertificate struct {
	ACM  *ACMCertificate  `json:"acm,omitempty"`
	File *FileCertificate `json:"file,omitempty"`
	SDS  *SDSSecret       `json:"sds,omitempty"`
}

// ACMCertificate names a certificate of AWS Certificate Manager.
type ACMCertificate struct {
	CertificateARN string `json:"certificateARN"`
}

// FileCertificate is a pair of paths on the proxy's disk.
type FileCertificate struct {
	CertificateChain string `json:"certificateChain"`
	PrivateKey       string `json:"privateKey"`
}

// SDSSecret is a secret served to the proxy by name.
type SDSSecret struct {
	SecretName string `json:"secretName"`
}

// Validation says which peers are trusted.
type Validation struct {
	Trust                   Trust            `json:"trust"`
	SubjectAlternativeNames *SubjectAltNames `json:"subjectAlternativeNames,omitempty"`
}

// Trust is one of three sources of certificate authorities.
type Trust struct {
	ACM  *ACMTrust  `json:"acm,omitempty"`
	File *FileTrust `json:"file,omitempty"`
	SDS  *SDSSecret `json:"sds,omitempty"`
}

// ACMTrust names authorities of AWS Private CA.
type ACMTrust struct {
	CertificateAuthorityARNs []string `json:"certificateAuthorityARNs"`
}

// FileTrust is a path on the proxy's disk.
type FileTrust struct {
	CertificateChain string `json:"certificateChain"`
}

// SubjectAltNames that a peer's certificate must hold one of.
type SubjectAltNames struct {
	Match SubjectAltNameMatch `json:"match"`
}

// SubjectAltNameMatch lists the names.
type SubjectAltNameMatch struct {
	Exact []string `json:"exact"`
}

// ClientPolicy is how a node or gateway speaks to its backends.
type ClientPolicy struct {
	TLS *ClientTLS `json:"tls,omitempty"`
}

// ClientTLS is the client's side of TLS.
type ClientTLS struct {
	Enforce     *bool              `json:"enforce,omitempty"` // default true
	Ports       []uint32           `json:"ports,omitempty"`   // empty: all
	Certificate *ClientCertificate `json:"certificate,omitempty"`
	Validation  Validation         `json:"validation"`
}

// ClientCertificate is the client's own, for mutual TLS.
type ClientCertificate struct {
	File *FileCertificate `json:"file,omitempty"`
	SDS  *SDSSecret       `json:"sds,omitempty"`
}
