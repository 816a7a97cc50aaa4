from recurra.tasks.task import Evaluation
def judged(product, pairs, how, beams=False):
    found=product.translate(pairs.sources, how)
    texts=[f[0].text if f else "" for f in found]
    right=sum(t in {product.target.tokens.normal(r) for r in own} for t,own in zip(texts,pairs.references))
    return Evaluation({"exact": right/len(texts), "items": len(texts)})
