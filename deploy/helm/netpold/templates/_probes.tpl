{{- define "netpold.probes" -}}
# gRPC health is SERVING after the first full sync. A restart would not bring it nearer, so half an hour may pass before one.
# A kubelet cannot ask gRPC over TLS; /readyz says the same.
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
# Whether the process is alive, whatever the state of the cluster is.
livenessProbe:
  httpGet:
    port: metrics
    path: /healthz
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 6
# Whether questions are answered: until the drain, and from a stale state too unless --when-stale=deny. The health of the
# server as a whole is NOT_SERVING on stale replicas: when all are stale, callers would be left without any.
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
