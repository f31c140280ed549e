package main

// component begins a component of kustomize that patches the Deployment of the base.
const component = `apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches:
  - target: {kind: Deployment, name: netpold}
    patch: |-
`

// components returns the components that say who may ask, by their folders below deploy/kustomize. Each is a value of the
// chart, and a test compares the two. Arguments go behind those that say where to listen.
func components() map[string]string {
	return map[string]string{
		"insecure": `# Lets everybody who can connect ask, and learn what is allowed: for a try, or where a NetworkPolicy or a mesh says who may.
` + component + `      - {op: add, path: /spec/template/spec/containers/0/args/3, value: --insecure}
`,
		"kube-authz": `# Asks the API server whose the bearer token of each call is, and whether RBAC lets them ask. The Secret netpold-tls has tls.crt
# and tls.key.
` + component + tlsPatch + `      - {op: add, path: /spec/template/spec/containers/0/args/5, value: --kube-authz}
  - target: {kind: ClusterRole, name: netpold}
    patch: |-
      - op: add
        path: /rules/-
        value: {apiGroups: [authentication.k8s.io], resources: [tokenreviews], verbs: [create]}
      - op: add
        path: /rules/-
        value: {apiGroups: [authorization.k8s.io], resources: [subjectaccessreviews], verbs: [create]}
` + servicesPatch,
		"tls": `# Requires certificates of clients. The Secret netpold-tls has tls.crt and tls.key, and ca.crt, which signs those of clients.
` + component + tlsPatch + `      - {op: add, path: /spec/template/spec/containers/0/args/5, value: --tls-client-ca=/etc/netpold/tls/ca.crt}
` + servicesPatch,
	}
}

// servicesPatch says in the Services that TLS is spoken.
const servicesPatch = `  - target: {kind: Service, name: 'netpold(-headless)?'}
    patch: |-
      - {op: replace, path: /spec/ports/0/appProtocol, value: https}
`

// tlsPatch adds TLS. A kubelet cannot ask gRPC over it, so the probes ask /readyz.
const tlsPatch = `      - {op: add, path: /spec/template/spec/containers/0/args/3, value: --tls-cert=/etc/netpold/tls/tls.crt}
      - {op: add, path: /spec/template/spec/containers/0/args/4, value: --tls-key=/etc/netpold/tls/tls.key}
      - op: add
        path: /spec/template/spec/volumes
        value: [{name: tls, secret: {secretName: netpold-tls}}]
      - op: add
        path: /spec/template/spec/containers/0/volumeMounts
        value: [{name: tls, mountPath: /etc/netpold/tls, readOnly: true}]
      - {op: remove, path: /spec/template/spec/containers/0/startupProbe/grpc}
      - {op: add, path: /spec/template/spec/containers/0/startupProbe/httpGet, value: {port: metrics, path: /readyz}}
      - {op: remove, path: /spec/template/spec/containers/0/readinessProbe/grpc}
      - {op: add, path: /spec/template/spec/containers/0/readinessProbe/httpGet, value: {port: metrics, path: /readyz}}
`
