package kubetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
)

// storeBatch is how many objects go into one transaction of etcd, which takes 128.
const storeBatch = 100

// StorePods writes Pods, with their status, straight into etcd: thousands of them in the time that the API server takes for hundreds.
// It returns when the API server knows them.
func (c *Cluster) StorePods(ctx context.Context, n int, pod func(i int) *corev1.Pod) {
	c.tb.Helper()
	etcd := c.store()
	defer etcd.Close() //nolint:errcheck // nothing is lost
	encoder := storage(c.tb)
	for from := 0; from < n; from += storeBatch {
		var puts []clientv3.Op
		for i := from; i < min(from+storeBatch, n); i++ {
			p := pod(i)
			text, err := runtime.Encode(encoder, p)
			if err != nil {
				c.tb.Fatal(err)
			}
			puts = append(puts, clientv3.OpPut("/registry/pods/"+p.Namespace+"/"+p.Name, string(text)))
		}
		if _, err := etcd.Txn(ctx).Then(puts...).Commit(); err != nil {
			c.tb.Fatalf("writing Pods into etcd: %v", err)
		}
	}
	Eventually(c.tb, 5*time.Minute, func(ctx context.Context) error {
		list, err := c.Client().CoreV1().Pods("").List(ctx, metav1.ListOptions{Limit: 1})
		if err != nil {
			return err
		}
		known := int64(len(list.Items))
		if list.RemainingItemCount != nil {
			known += *list.RemainingItemCount
		}
		if known < int64(n) {
			return fmt.Errorf("the API server knows %d of %d Pods", known, n)
		}
		return nil
	})
}

// storage encodes as the API server does for etcd.
func storage(tb testing.TB) runtime.Encoder {
	tb.Helper()
	codecs := serializer.NewCodecFactory(scheme.Scheme)
	info, ok := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), runtime.ContentTypeProtobuf)
	if !ok {
		tb.Fatal("protobuf is not known")
	}
	return codecs.EncoderForVersion(info.Serializer, corev1.SchemeGroupVersion)
}
