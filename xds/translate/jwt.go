package translate

import (
	"cmp"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	jwtauthnv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/meshwright/meshwright/schema"
)

// jwt lets in what bears a good token. The token goes on to the application.
// Where none is needed it is looked at all the same, so that nobody can write
// headers that show claims.
func (b *builder) jwt(owner schema.Resource, j *schema.JWT) *jwtauthnv3.JwtAuthentication {
	out := &jwtauthnv3.JwtAuthentication{Providers: map[string]*jwtauthnv3.JwtProvider{}}
	var good []*jwtauthnv3.JwtRequirement
	for i := range j.Issuers {
		name := j.Issuers[i].Issuer
		if out.Providers[name] == nil {
			good = append(good, &jwtauthnv3.JwtRequirement{RequiresType: &jwtauthnv3.JwtRequirement_ProviderName{ProviderName: name}})
		}
		out.Providers[name] = b.tokenIssuer(owner, &j.Issuers[i])
	}
	exempt := anyOf(append(slices.Clone(good), &jwtauthnv3.JwtRequirement{
		RequiresType: &jwtauthnv3.JwtRequirement_AllowMissingOrFailed{AllowMissingOrFailed: &emptypb.Empty{}},
	}))
	if j.Optional {
		good = append(good, &jwtauthnv3.JwtRequirement{RequiresType: &jwtauthnv3.JwtRequirement_AllowMissing{AllowMissing: &emptypb.Empty{}}})
	}
	for _, path := range j.Except {
		out.Rules = append(out.Rules, tokenRule(below(path), exempt))
	}
	out.Rules = append(out.Rules, tokenRule(everything(), anyOf(good)))
	return out
}

// below matches a path and what is below it.
func below(path string) *routev3.RouteMatch {
	path = strings.TrimRight(path, "/")
	if path == "" {
		return everything()
	}
	return &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: path}}
}

func tokenRule(match *routev3.RouteMatch, r *jwtauthnv3.JwtRequirement) *jwtauthnv3.RequirementRule {
	return &jwtauthnv3.RequirementRule{
		Match:           match,
		RequirementType: &jwtauthnv3.RequirementRule_Requires{Requires: r},
	}
}

func anyOf(all []*jwtauthnv3.JwtRequirement) *jwtauthnv3.JwtRequirement {
	if len(all) == 1 {
		return all[0]
	}
	return &jwtauthnv3.JwtRequirement{RequiresType: &jwtauthnv3.JwtRequirement_RequiresAny{RequiresAny: &jwtauthnv3.JwtRequirementOrList{Requirements: all}}}
}

func (b *builder) tokenIssuer(owner schema.Resource, i *schema.JWTIssuer) *jwtauthnv3.JwtProvider {
	out := &jwtauthnv3.JwtProvider{Issuer: i.Issuer, Audiences: i.Audiences, Forward: true}
	for _, c := range i.ClaimHeaders {
		out.ClaimToHeaders = append(out.ClaimToHeaders, &jwtauthnv3.JwtClaimToHeader{ClaimName: c.Claim, HeaderName: c.Header})
	}
	s := i.JWKS.Service
	if s == nil {
		out.JwksSourceSpecifier = &jwtauthnv3.JwtProvider_LocalJwks{LocalJwks: &corev3.DataSource{
			Specifier: &corev3.DataSource_InlineString{InlineString: i.JWKS.Inline},
		}}
		return out
	}
	to := b.ask(owner, s.VirtualServiceRef, s.Port)
	cache := 5 * time.Minute
	if s.Cache != nil {
		cache = min(max(s.Cache.Duration(), time.Second), 365*24*time.Hour) // Envoy refuses 0 and eternity
	}
	out.JwksSourceSpecifier = &jwtauthnv3.JwtProvider_RemoteJwks{RemoteJwks: &jwtauthnv3.RemoteJwks{
		HttpUri:       to.uri(s.Path, 5*time.Second),
		CacheDuration: durationpb.New(cache),
	}}
	return out
}

// uri is a path of the service that is asked. Without a cluster nothing
// answers.
func (a asked) uri(path string, timeout time.Duration) *corev3.HttpUri {
	return &corev3.HttpUri{
		Uri:              "http://" + a.host + path,
		HttpUpstreamType: &corev3.HttpUri_Cluster{Cluster: cmp.Or(a.cluster, noCluster)},
		Timeout:          durationpb.New(timeout),
	}
}

// noCluster is a cluster that no proxy has.
const noCluster = "noCluster"
