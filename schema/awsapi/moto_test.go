package awsapi_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/appmesh"
	"github.com/aws/aws-sdk-go-v2/service/appmesh/types"
	"github.com/google/go-cmp/cmp"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/schema/awsapi"
)

// TestMoto: what AWS's SDK created, and a server that we did not write describes,
// is the same in the documents.
func TestMoto(t *testing.T) {
	endpoint, _ := fixtures.Moto(t)
	client := appmesh.New(appmesh.Options{
		BaseEndpoint: aws.String(endpoint), Region: "us-east-1", HTTPClient: &http.Client{Transport: timestamps{}},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
	create(t, client)

	var files []awsapi.File
	for _, path := range []string{
		"", "/virtualNodes/web", "/virtualNodes/api", "/virtualNodes/db", "/virtualRouters/api", "/virtualRouter/api/routes/calls",
		"/virtualRouters/db", "/virtualRouter/db/routes/all", "/virtualRouters/web", "/virtualRouter/web/routes/canary",
		"/virtualGateways/edge", "/virtualGateway/edge/gatewayRoutes/web",
	} {
		files = append(files, awsapi.File{Name: "describe" + path, Named: true, Data: describe(t, endpoint+"/v20190125/meshes/shop"+path)})
	}
	for service, router := range map[string]string{"web.local": "web", "api.local": "api", "db.local": "db"} { // which the server has not
		files = append(files, awsapi.File{Name: service, Data: fmt.Appendf(nil,
			`{"virtualService": {"meshName": "shop", "metadata": {"version": 1}, "spec": {"provider": {"virtualRouter": {"virtualRouterName": %q}}}, "status": {"status": "ACTIVE"}, "virtualServiceName": %q}}`, router, service)})
	}
	r := imported(t, awsapi.Options{}, files...)
	if len(r.Notes) > 0 || r.Objects != len(files) {
		t.Fatalf("%d of %d objects, notes %v", r.Objects, len(files), r.Notes)
	}
	spec := loaded(t, r).Spec
	if spec == nil {
		t.Fatal("it does not load")
	}
	key := func(name string) schema.Key { return schema.Key{Namespace: "shop", Name: name} }
	got := map[string]any{
		"mesh": spec.Meshes[schema.Key{Name: "shop"}].Spec, "web": spec.VirtualNodes[key("web")].Spec, "api": spec.VirtualNodes[key("api")].Spec,
		"calls": spec.VirtualRouters[key("api")].Spec, "all": spec.VirtualRouters[key("db")].Spec, "canary": spec.VirtualRouters[key("web")].Spec,
		"edge": spec.VirtualGateways[key("edge")].Spec, "route": spec.GatewayRoutes[key("web")].Spec,
	}
	if diff := cmp.Diff(created(), got); diff != "" {
		t.Errorf("(-created +imported):\n%s", diff)
	}
}

// create makes a mesh of every kind of object that the server knows.
func create(t *testing.T, c *appmesh.Client) {
	t.Helper()
	ctx, mesh := t.Context(), aws.String("shop")
	made := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	made(c.CreateMesh(ctx, &appmesh.CreateMeshInput{MeshName: mesh, Spec: &types.MeshSpec{EgressFilter: &types.EgressFilter{Type: types.EgressFilterTypeAllowAll}}}))
	seconds := func(n int64) *types.Duration { return &types.Duration{Unit: types.DurationUnitS, Value: &n} }
	backend := func(name string) types.Backend {
		return &types.BackendMemberVirtualService{Value: types.VirtualServiceBackend{VirtualServiceName: &name}}
	}
	made(c.CreateVirtualNode(ctx, &appmesh.CreateVirtualNodeInput{MeshName: mesh, VirtualNodeName: aws.String("web"), Spec: &types.VirtualNodeSpec{
		Listeners: []types.Listener{{
			PortMapping: &types.PortMapping{Port: aws.Int32(8080), Protocol: types.PortProtocolHttp},
			HealthCheck: &types.HealthCheckPolicy{HealthyThreshold: aws.Int32(2), UnhealthyThreshold: aws.Int32(3), IntervalMillis: aws.Int64(5000), TimeoutMillis: aws.Int64(2000), Path: aws.String("/ping"), Protocol: types.PortProtocolHttp},
			Timeout:     &types.ListenerTimeoutMemberHttp{Value: types.HttpTimeout{Idle: seconds(60), PerRequest: seconds(20)}},
			Tls: &types.ListenerTls{Mode: types.ListenerTlsModeStrict, Certificate: &types.ListenerTlsCertificateMemberFile{
				Value: types.ListenerTlsFileCertificate{CertificateChain: aws.String("/chain"), PrivateKey: aws.String("/key")}}},
			OutlierDetection: &types.OutlierDetection{MaxServerErrors: aws.Int64(5), MaxEjectionPercent: aws.Int32(50), Interval: seconds(10), BaseEjectionDuration: seconds(30)},
			ConnectionPool:   &types.VirtualNodeConnectionPoolMemberHttp{Value: types.VirtualNodeHttpConnectionPool{MaxConnections: aws.Int32(10), MaxPendingRequests: aws.Int32(5)}},
		}},
		ServiceDiscovery: &types.ServiceDiscoveryMemberDns{Value: types.DnsServiceDiscovery{Hostname: aws.String("web.internal"), ResponseType: types.DnsResponseTypeEndpoints}},
		Backends:         []types.Backend{backend("api.local"), backend("db.local")},
		BackendDefaults: &types.BackendDefaults{ClientPolicy: &types.ClientPolicy{Tls: &types.ClientPolicyTls{Enforce: aws.Bool(false), Ports: []int32{443},
			Validation: &types.TlsValidationContext{
				Trust:                   &types.TlsValidationContextTrustMemberAcm{Value: types.TlsValidationContextAcmTrust{CertificateAuthorityArns: []string{"arn:ca"}}},
				SubjectAlternativeNames: &types.SubjectAlternativeNames{Match: &types.SubjectAlternativeNameMatchers{Exact: []string{"api.local"}}},
			}}}},
		Logging: &types.Logging{AccessLog: &types.AccessLogMemberFile{Value: types.FileAccessLog{Path: aws.String("/dev/stdout"),
			Format: &types.LoggingFormatMemberJson{Value: []types.JsonFormatRef{{Key: aws.String("p"), Value: aws.String("%PROTOCOL%")}}}}}},
	}}))
	made(c.CreateVirtualNode(ctx, &appmesh.CreateVirtualNodeInput{MeshName: mesh, VirtualNodeName: aws.String("api"), Spec: &types.VirtualNodeSpec{
		Listeners: []types.Listener{{PortMapping: &types.PortMapping{Port: aws.Int32(9000), Protocol: types.PortProtocolGrpc}}},
		ServiceDiscovery: &types.ServiceDiscoveryMemberAwsCloudMap{Value: types.AwsCloudMapServiceDiscovery{NamespaceName: aws.String("local"), ServiceName: aws.String("api"),
			Attributes: []types.AwsCloudMapInstanceAttribute{{Key: aws.String("stack"), Value: aws.String("blue")}}}},
	}}))
	made(c.CreateVirtualNode(ctx, &appmesh.CreateVirtualNodeInput{MeshName: mesh, VirtualNodeName: aws.String("db"), Spec: &types.VirtualNodeSpec{
		Listeners:        []types.Listener{{PortMapping: &types.PortMapping{Port: aws.Int32(5432), Protocol: types.PortProtocolTcp}}},
		ServiceDiscovery: &types.ServiceDiscoveryMemberDns{Value: types.DnsServiceDiscovery{Hostname: aws.String("db.internal")}},
	}}))
	for name, port := range map[string]types.PortMapping{
		"api": {Port: aws.Int32(9000), Protocol: types.PortProtocolGrpc}, "db": {Port: aws.Int32(5432), Protocol: types.PortProtocolTcp}, "web": {Port: aws.Int32(8080), Protocol: types.PortProtocolHttp},
	} {
		made(c.CreateVirtualRouter(ctx, &appmesh.CreateVirtualRouterInput{MeshName: mesh, VirtualRouterName: aws.String(name), Spec: &types.VirtualRouterSpec{Listeners: []types.VirtualRouterListener{{PortMapping: &port}}}}))
	}
	to := func(node string, weight int32) []types.WeightedTarget {
		return []types.WeightedTarget{{VirtualNode: &node, Weight: weight}}
	}
	made(c.CreateRoute(ctx, &appmesh.CreateRouteInput{MeshName: mesh, VirtualRouterName: aws.String("api"), RouteName: aws.String("calls"), Spec: &types.RouteSpec{
		Priority: aws.Int32(0),
		GrpcRoute: &types.GrpcRoute{
			Match: &types.GrpcRouteMatch{ServiceName: aws.String("shop.Api"), MethodName: aws.String("Get"), Metadata: []types.GrpcRouteMetadata{{Name: aws.String("tenant"), Invert: aws.Bool(true),
				Match: &types.GrpcRouteMetadataMatchMethodMemberRange{Value: types.MatchRange{Start: aws.Int64(1), End: aws.Int64(9)}}}}},
			Action: &types.GrpcRouteAction{WeightedTargets: to("api", 1)},
			RetryPolicy: &types.GrpcRetryPolicy{MaxRetries: aws.Int64(0), PerRetryTimeout: seconds(1), GrpcRetryEvents: []types.GrpcRetryPolicyEvent{types.GrpcRetryPolicyEventUnavailable},
				HttpRetryEvents: []string{"gateway-error"}, TcpRetryEvents: []types.TcpRetryPolicyEvent{types.TcpRetryPolicyEventConnectionError}},
			Timeout: &types.GrpcTimeout{PerRequest: seconds(0)},
		},
	}}))
	made(c.CreateRoute(ctx, &appmesh.CreateRouteInput{MeshName: mesh, VirtualRouterName: aws.String("db"), RouteName: aws.String("all"), Spec: &types.RouteSpec{
		TcpRoute: &types.TcpRoute{Action: &types.TcpRouteAction{WeightedTargets: to("db", 100)}, Timeout: &types.TcpTimeout{Idle: seconds(300)}},
	}}))
	made(c.CreateRoute(ctx, &appmesh.CreateRouteInput{MeshName: mesh, VirtualRouterName: aws.String("web"), RouteName: aws.String("canary"), Spec: &types.RouteSpec{
		HttpRoute: &types.HttpRoute{
			Match: &types.HttpRouteMatch{Path: &types.HttpPathMatch{Regex: aws.String("/v[12]/.*")}, Method: types.HttpMethodGet, Scheme: types.HttpSchemeHttp,
				Headers:         []types.HttpRouteHeader{{Name: aws.String("canary"), Match: &types.HeaderMatchMethodMemberExact{Value: "yes"}}},
				QueryParameters: []types.HttpQueryParameter{{Name: aws.String("q"), Match: &types.QueryParameterMatch{Exact: aws.String("1")}}}},
			Action: &types.HttpRouteAction{WeightedTargets: to("web", 7)},
		},
	}}))
	made(c.CreateVirtualGateway(ctx, &appmesh.CreateVirtualGatewayInput{MeshName: mesh, VirtualGatewayName: aws.String("edge"), Spec: &types.VirtualGatewaySpec{
		Listeners: []types.VirtualGatewayListener{{
			PortMapping:    &types.VirtualGatewayPortMapping{Port: aws.Int32(443), Protocol: types.VirtualGatewayPortProtocolHttp},
			ConnectionPool: &types.VirtualGatewayConnectionPoolMemberHttp{Value: types.VirtualGatewayHttpConnectionPool{MaxConnections: aws.Int32(100)}},
			Tls: &types.VirtualGatewayListenerTls{Mode: types.VirtualGatewayListenerTlsModePermissive,
				Certificate: &types.VirtualGatewayListenerTlsCertificateMemberAcm{Value: types.VirtualGatewayListenerTlsAcmCertificate{CertificateArn: aws.String("arn:certificate")}}},
		}},
	}}))
	made(c.CreateGatewayRoute(ctx, &appmesh.CreateGatewayRouteInput{MeshName: mesh, VirtualGatewayName: aws.String("edge"), GatewayRouteName: aws.String("web"), Spec: &types.GatewayRouteSpec{
		Priority: aws.Int32(5),
		HttpRoute: &types.HttpGatewayRoute{
			Match: &types.HttpGatewayRouteMatch{Prefix: aws.String("/shop/"), Hostname: &types.GatewayRouteHostnameMatch{Suffix: aws.String(".example.com")}},
			Action: &types.HttpGatewayRouteAction{
				Target: &types.GatewayRouteTarget{VirtualService: &types.GatewayRouteVirtualService{VirtualServiceName: aws.String("web.local")}, Port: aws.Int32(8080)},
				Rewrite: &types.HttpGatewayRouteRewrite{Prefix: &types.HttpGatewayRoutePrefixRewrite{Value: aws.String("/")},
					Hostname: &types.GatewayRouteHostnameRewrite{DefaultTargetHostname: types.DefaultGatewayRouteRewriteDisabled}},
			},
		},
	}}))
}

// created is what create made, in the words of the documents.
func created() map[string]any {
	seconds := func(n int64) *schema.Duration { return &schema.Duration{Unit: "s", Value: n} }
	ref := func(name string) *schema.Reference { return &schema.Reference{Name: name} }
	to := func(node string, weight uint32) schema.RouteAction {
		return schema.RouteAction{WeightedTargets: []schema.WeightedTarget{{VirtualNodeRef: ref(node), Weight: weight}}}
	}
	router := func(port uint32, protocol schema.Protocol) []schema.RouterListener {
		return []schema.RouterListener{{PortMapping: schema.PortMapping{Port: port, Protocol: protocol}}}
	}
	node := func(port uint32, protocol schema.Protocol) []schema.NodeListener {
		return []schema.NodeListener{{PortMapping: schema.PortMapping{Port: port, Protocol: protocol}}}
	}
	web := node(8080, "http")
	web[0].HealthCheck = &schema.HealthCheck{HealthyThreshold: 2, UnhealthyThreshold: 3, IntervalMillis: 5000, TimeoutMillis: 2000, Path: "/ping", Protocol: "http"}
	web[0].Timeout = &schema.ListenerTimeout{HTTP: &schema.Timeout{Idle: seconds(60), PerRequest: seconds(20)}}
	web[0].TLS = &schema.ListenerTLS{Mode: "STRICT", Certificate: schema.ListenerCertificate{File: &schema.FileCertificate{CertificateChain: "/chain", PrivateKey: "/key"}}}
	web[0].OutlierDetection = &schema.OutlierDetection{MaxServerErrors: 5, MaxEjectionPercent: 50, Interval: *seconds(10), BaseEjectionDuration: *seconds(30)}
	web[0].ConnectionPool = &schema.ConnectionPool{HTTP: &schema.HTTPPool{MaxConnections: 10, MaxPendingRequests: new(uint32(5))}}
	return map[string]any{
		"mesh": schema.MeshSpec{AWSName: "shop", NamespaceSelector: &schema.Selector{}, EgressFilter: &schema.EgressFilter{Type: "ALLOW_ALL"}},
		"web": schema.VirtualNodeSpec{AWSName: "web", Listeners: web,
			ServiceDiscovery: &schema.ServiceDiscovery{DNS: &schema.DNSDiscovery{Hostname: "web.internal", ResponseType: "ENDPOINTS"}},
			Backends:         []schema.Backend{{VirtualService: schema.BackendService{VirtualServiceRef: ref("api.local")}}, {VirtualService: schema.BackendService{VirtualServiceRef: ref("db.local")}}},
			BackendDefaults: &schema.BackendDefaults{ClientPolicy: &schema.ClientPolicy{TLS: &schema.ClientTLS{Enforce: new(false), Ports: []uint32{443}, Validation: schema.Validation{
				Trust:                   schema.Trust{ACM: &schema.ACMTrust{CertificateAuthorityARNs: []string{"arn:ca"}}},
				SubjectAlternativeNames: &schema.SubjectAltNames{Match: schema.SubjectAltNameMatch{Exact: []string{"api.local"}}}}}}},
			Logging: &schema.Logging{AccessLog: &schema.AccessLog{File: &schema.AccessLogFile{Path: "/dev/stdout", Format: &schema.AccessLogFormat{JSON: []schema.JSONFormatRef{{Key: "p", Value: "%PROTOCOL%"}}}}}},
		},
		"api": schema.VirtualNodeSpec{AWSName: "api", Listeners: node(9000, "grpc"), ServiceDiscovery: &schema.ServiceDiscovery{AWSCloudMap: &schema.CloudMapDiscovery{
			NamespaceName: "local", ServiceName: "api", Attributes: []schema.CloudMapAttribute{{Key: "stack", Value: "blue"}}}}},
		"calls": schema.VirtualRouterSpec{AWSName: "api", Listeners: router(9000, "grpc"), Routes: []schema.Route{{Name: "calls", Priority: new(uint32(0)), GRPCRoute: &schema.GRPCRoute{
			Match:  schema.GRPCMatch{ServiceName: "shop.Api", MethodName: "Get", Metadata: []schema.HeaderMatch{{Name: "tenant", Invert: true, Match: &schema.HeaderValue{Range: &schema.MatchRange{Start: 1, End: 9}}}}},
			Action: to("api", 1), Timeout: &schema.Timeout{PerRequest: seconds(0)},
			RetryPolicy: &schema.RetryPolicy{MaxRetries: 0, PerRetryTimeout: *seconds(1), GRPCRetryEvents: []string{"unavailable"}, HTTPRetryEvents: []string{"gateway-error"}, TCPRetryEvents: []string{"connection-error"}},
		}}}},
		"all": schema.VirtualRouterSpec{AWSName: "db", Listeners: router(5432, "tcp"), Routes: []schema.Route{{Name: "all", TCPRoute: &schema.TCPRoute{Action: to("db", 100), Timeout: &schema.Timeout{Idle: seconds(300)}}}}},
		"canary": schema.VirtualRouterSpec{AWSName: "web", Listeners: router(8080, "http"), Routes: []schema.Route{{Name: "canary", HTTPRoute: &schema.HTTPRoute{Action: to("web", 7), Match: schema.HTTPMatch{
			Path: &schema.PathMatch{Regex: "/v[12]/.*"}, Method: "GET", Scheme: "http", Headers: []schema.HeaderMatch{{Name: "canary", Match: &schema.HeaderValue{Exact: "yes"}}},
			QueryParameters: []schema.QueryParameter{{Name: "q", Match: &schema.QueryMatch{Exact: "1"}}}}}}}},
		"edge": schema.VirtualGatewaySpec{AWSName: "edge", NamespaceSelector: &schema.Selector{}, GatewayRouteSelector: &schema.Selector{MatchLabels: map[string]string{"gateway": "edge"}},
			Listeners: []schema.GatewayListener{{PortMapping: schema.PortMapping{Port: 443, Protocol: "http"}, ConnectionPool: &schema.ConnectionPool{HTTP: &schema.HTTPPool{MaxConnections: 100}},
				TLS: &schema.ListenerTLS{Mode: "PERMISSIVE", Certificate: schema.ListenerCertificate{ACM: &schema.ACMCertificate{CertificateARN: "arn:certificate"}}}}}},
		"route": schema.GatewayRouteSpec{AWSName: "web", Priority: new(uint32(5)), HTTPRoute: &schema.GatewayHTTPRoute{
			Match: schema.HTTPMatch{Prefix: "/shop/", Hostname: &schema.HostnameMatch{Suffix: ".example.com"}},
			Action: schema.GatewayAction{Target: schema.GatewayTarget{VirtualService: schema.GatewayTargetService{VirtualServiceRef: ref("web.local")}, Port: 8080},
				Rewrite: &schema.GatewayRewrite{Prefix: &schema.PrefixRewrite{Value: "/"}, Hostname: &schema.HostnameRewrite{DefaultTargetHostname: "DISABLED"}}}}},
	}
}

// timestamps makes numbers of the timestamps in answers, which the server writes
// as text and the SDK cannot read.
type timestamps struct{}

var timestamp = regexp.MustCompile(`("(?:createdAt|lastUpdatedAt)":\s*)"[^"]*"`)

func (timestamps) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	body = timestamp.ReplaceAll(body, []byte("${1}1"))
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	return resp, err
}

// describe asks as the command line of AWS does, whose output has this body under
// the name of its kind.
func describe(t *testing.T, url string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	// It tells AWS's services apart by the scope of the credential.
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/appmesh/aws4_request, SignedHeaders=host, Signature=none")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s %s %v", url, resp.Status, body, err)
	}
	return body
}
