class Program:
    pass


def program(*a):
    pass
