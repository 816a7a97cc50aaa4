from recurra.tasks.task import Facts
def facts_of(product, train, held, evaluation): return Facts("t", [])
def headline_of(evaluation): return None
