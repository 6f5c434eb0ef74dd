"""The two loops, the store and the executor. They see the world only through `ports`: never kopf, kubernetes,
threads, sockets, time or random.
"""
