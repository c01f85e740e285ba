"""Add the sidecar to pods as they are created: a mutating admission webhook.

The way of a review, in the order to read it:

1. `review`       the body that the API server sends, and its answer; `pod` is what is read of a pod
2. `annotations`  what a pod asks for, checked strictly
3. `settings`     what the site says for all pods
4. `additions`    container, volumes and the rest of what is added, from the two
5. `patch`        pod to JSON patch, or the reason why it is left as it is; `outcome` lists the reasons
6. `metrics`      what is exported
7. `service`      puts it together and listens
"""
