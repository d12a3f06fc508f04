package schema

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// keySets are as RFC 7517 has them, and an issuer has one. Envoy refuses the
// whole listener for a key that is none; a key that is not public is no secret
// any more once it is in a repository.
func keySets(res Resource, report func(path, what, fix string)) {
	p, ok := res.(*ListenerPolicy)
	if !ok || p.Spec.JWT == nil {
		return
	}
	first := map[string]int{}
	for i, issuer := range p.Spec.JWT.Issuers {
		if at, taken := first[issuer.Issuer]; taken {
			report(fmt.Sprintf("spec.jwt.issuers[%d].issuer", i), fmt.Sprintf("spec.jwt.issuers[%d] is the same", at), "write all of its keys in one set")
		} else {
			first[issuer.Issuer] = i
		}
		if issuer.JWKS.Inline != "" {
			if what := wrongKeys(issuer.JWKS.Inline); what != "" {
				report(fmt.Sprintf("spec.jwt.issuers[%d].jwks.inline", i), what, `write {"keys": [{"kty": "RSA", …}]}, as the issuer publishes it`)
			}
		}
	}
}

// wrongKeys says what is wrong with a key set, empty if nothing is.
func wrongKeys(text string) string {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		return "it is no key set: " + err.Error()
	}
	if len(set.Keys) == 0 {
		return "it has no keys"
	}
	for i, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := json.Unmarshal(raw, &key); err != nil {
			return fmt.Sprintf("keys[%d] is none: %s", i, strings.TrimPrefix(err.Error(), "go-jose/go-jose: "))
		}
		if !key.Valid() || !key.IsPublic() {
			return fmt.Sprintf("keys[%d] is not a public key", i)
		}
	}
	return ""
}
