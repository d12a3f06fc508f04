package endpoints

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/meshwright/meshwright/schema"
)

// CloudMap is AWS Cloud Map, with the credentials that AWS's SDK finds:
// environment, shared files, container or instance role. It reads and contacts
// nothing before it is asked.
type CloudMap struct {
	// Endpoint is where the API is, taken as it is; empty: AWS's own of the
	// region.
	Endpoint string
	// Region is that of the namespaces; empty: what the SDK finds (AWS_REGION).
	Region string

	mu     sync.Mutex
	client *servicediscovery.Client
}

// most is how many instances an answer holds at most; the API has no pages.
const most = 1000

// Revision returns the number that changes whenever an instance of a service
// comes or goes. It is the cheap question.
func (c *CloudMap) Revision(ctx context.Context, namespace, service string) (int64, error) {
	client, err := c.open(ctx)
	if err != nil {
		return 0, err
	}
	out, err := client.DiscoverInstancesRevision(ctx, &servicediscovery.DiscoverInstancesRevisionInput{NamespaceName: &namespace, ServiceName: &service})
	if err != nil {
		return 0, err
	}
	return aws.ToInt64(out.InstancesRevision), nil
}

// Discover returns the healthy instances that a query is for or, where none
// is, all of them: as Cloud Map does by default, since no answer at all is
// worse. Instances without an address (aliases) are passed over.
func (c *CloudMap) Discover(ctx context.Context, q schema.Query) (Answer, error) {
	client, err := c.open(ctx)
	if err != nil {
		return Answer{}, err
	}
	out, err := client.DiscoverInstances(ctx, &servicediscovery.DiscoverInstancesInput{
		NamespaceName: &q.Namespace, ServiceName: &q.Service, QueryParameters: q.Attributes(),
		HealthStatus: types.HealthStatusFilterHealthyOrElseAll, MaxResults: aws.Int32(most),
	})
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Revision: aws.ToInt64(out.InstancesRevision), Cut: len(out.Instances) >= most}
	for _, i := range out.Instances {
		a.Checked = a.Checked || i.HealthStatus != types.HealthStatusUnknown
		found := schema.Instance{
			IPv4: address(i.Attributes["AWS_INSTANCE_IPV4"], netip.Addr.Is4), IPv6: address(i.Attributes["AWS_INSTANCE_IPV6"], netip.Addr.Is6),
			Zone: i.Attributes["AVAILABILITY_ZONE"], // as ECS registers it
		}
		if found.IPv4.IsValid() || found.IPv6.IsValid() {
			a.Instances = append(a.Instances, found)
		}
	}
	return a, nil
}

// address reads an address of a family that a proxy can reach; the zero value
// for anything else.
func address(text string, family func(netip.Addr) bool) netip.Addr {
	addr, err := netip.ParseAddr(text)
	if err != nil || !family(addr) || addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast() {
		return netip.Addr{}
	}
	return addr
}

// open makes the client, once.
func (c *CloudMap) open(ctx context.Context) (*servicediscovery.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client != nil {
		return c.client, nil
	}
	var options []func(*config.LoadOptions) error
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		return nil, errors.New("no region is known; set --cloudmap-region or AWS_REGION")
	}
	c.client = servicediscovery.NewFromConfig(cfg, func(o *servicediscovery.Options) {
		o.RetryMaxAttempts = 2 // the next look comes soon
		if c.Endpoint != "" {
			o.BaseEndpoint = &c.Endpoint
			o.APIOptions = append(o.APIOptions, asItIs)
		}
	})
	return c.client, nil
}

// asItIs keeps the SDK from putting data- before the host, which stand-ins and
// private endpoints do not know.
func asItIs(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("HostAsItIs", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		return next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
	}), middleware.Before)
}
