{{/*
Startup asks gRPC health, which is SERVING after the first full sync. A restart would not bring it nearer, so that it takes half an
hour to come to one. A kubelet cannot ask gRPC over TLS; then /readyz tells the same.

Liveness asks whether the process is alive, whatever the state of the cluster is.

Readiness asks whether questions are answered: until the drain; from a stale state too, unless --when-stale=deny. Not the health of
the server as a whole, which is NOT_SERVING on stale replicas: when all are, it would leave callers without any.
*/}}
{{- define "netpold.probes" -}}
startupProbe:
{{- if .Values.tls.secretName }}
  httpGet:
    port: metrics
    path: /readyz
{{- else }}
  grpc:
    port: 9480
{{- end }}
  periodSeconds: 2
  timeoutSeconds: 3
  failureThreshold: 900
livenessProbe:
  httpGet:
    port: metrics
    path: /healthz
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 6
readinessProbe:
{{- if .Values.tls.secretName }}
  httpGet:
    port: metrics
    path: /readyz
{{- else }}
  grpc:
    port: 9480
    service: readiness
{{- end }}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}
