{{/*
Startup and liveness ask whether the process is alive, whatever the state of the cluster is. Readiness asks for the health of the
server as a whole, which serves from the first full sync until the drain, while its state is not stale. A kubelet cannot ask gRPC
over TLS; then the admin pages say whether questions are answered.
*/}}
{{- define "netpold.probes" -}}
startupProbe:
  httpGet:
    port: metrics
    path: /healthz
  periodSeconds: 2
  failureThreshold: 150
livenessProbe:
  httpGet:
    port: metrics
    path: /healthz
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 6
{{- if .Values.tls.secretName }}
readinessProbe:
  httpGet:
    port: metrics
    path: /readyz
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- else }}
readinessProbe:
  grpc:
    port: 9480
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end }}
{{- end -}}
