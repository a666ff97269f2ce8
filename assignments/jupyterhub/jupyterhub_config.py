"""A JupyterHub for a course on one machine: students fetch and hand in by nbgrader's own pages.

In an environment that all users can read (here /opt/hub):

    python3 -m venv /opt/hub
    /opt/hub/bin/pip install jupyterhub jupyterlab nbgrader==0.9.6 \
        "saebook[chapters,torch] @ git+https://github.com/saebook/saebook@v0.5.0"
    npm install -g configurable-http-proxy
    install -d -m 777 /srv/nbgrader/exchange
    install -D -m 644 assignments/jupyterhub/nbgrader_config.py /etc/jupyter/nbgrader_config.py
    /opt/hub/bin/jupyterhub -f assignments/jupyterhub/jupyterhub_config.py

Students are users of this machine, as JupyterHub's first authenticator has it; their ids are their
names there. The course stays where only the instructor can read it (mode 700), in a copy of the
repository. From its folder course/ the instructor runs, with .venv-nbgrader/bin first in PATH,

    nbgrader release_assignment NAME     students see it under Assignments
    nbgrader collect NAME                into submitted/, with the time of handing in
    make grade NAME=NAME                 in the repository; not by nbgrader autograde
    nbgrader release_feedback NAME       the pages that make grade made

A submission runs contained when it is graded. What students run on the hub runs as their own user.
"""

c = get_config()  # noqa: F821

# Only this machine; put a web server with a certificate in front.
c.JupyterHub.bind_url = "http://127.0.0.1:8000"
# Names of the machine's own users; a name that is not one of them gets nothing.
c.Authenticator.allow_all = True
c.Authenticator.admin_users = set()
c.Spawner.default_url = "/lab"
# An assignment takes less than 3 GB and one core.
c.Spawner.mem_limit = "4G"
c.Spawner.cpu_limit = 1
c.Spawner.environment = {
    "OMP_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}
# None of the hub's own variables, secrets for example, reach a student's server.
c.Spawner.env_keep = ["PATH", "LANG", "LC_ALL", "TZ"]
